"""Documents without text: counted, and never above others, whatever searches or ranks."""

import pytest

from polyrank import LateInteraction, Reranker
from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.index.dense import Dense
from polyrank.index.lexical import BM25
from polyrank.index.modular_dense import ModularDense
from polyrank.rerankers.base import Pointwise, Request
from polyrank.rerankers.interpolated import Interpolated
from polyrank.rerankers.llm.reranker import in_order

DOCUMENTS = [
    Document("a", "", language="en"),
    Document("b", "salt and iron", language="en"),
    Document("c", " \n", title=" ", language="en"),
    Document("d", "", title="river", language="en"),  # a title is text
]
QUERY = Query("q", "iron", "en")


@pytest.mark.parametrize("stage", ["bm25", "dense", "modular"])
def test_first_stages_never_find_them(stage, carded_base, tiny_zoo):
    made = {
        "bm25": lambda texts: BM25(texts),
        "dense": lambda texts: Dense(texts, carded_base, progress=False),
        "modular": lambda texts: ModularDense(texts, carded_base, zoo=tiny_zoo, progress=False),
    }[stage]
    found = made(DOCUMENTS)
    assert {hit.document_id for hit in found.search([QUERY])["q"]} == {"b", "d"}
    assert found.notes.of_kind("empty").total() == 2
    with pytest.raises(UsageError, match="none of the 1 documents has any text"):
        made([DOCUMENTS[0]])


@pytest.mark.parametrize("family", [Reranker, LateInteraction])
def test_rerankers_rank_them_last(family, carded_base, tiny_zoo):
    ranking = "squad" if family is Reranker else "none"
    reranker = family(carded_base, ranking=ranking, zoo=tiny_zoo, routing="none")
    (ranked,) = reranker.rank_all([Request(QUERY, tuple(DOCUMENTS))])
    assert [hit.document_id for hit in ranked.hits][2:] == ["a", "c"]
    assert ranked.hits[1].score > ranked.hits[2].score  # not by id alone
    assert ranked.notes.of_kind("empty").total() == 2


class Lengths:
    """The emptier, the better."""

    def score(self, pairs):
        return [-float(len(document.full_text)) for _, document in pairs]


def test_also_when_they_are_mixed_or_generated():
    first = Request(QUERY, tuple(DOCUMENTS), (9.0, 1.0, 8.0, 2.0))
    (mixed,) = Interpolated(Pointwise(Lengths()), 0.5).rank_all([first])
    assert [hit.document_id for hit in mixed.hits] == ["d", "b", "a", "c"]
    listed = in_order(first, [0, 1, 2, 3])
    assert [hit.document_id for hit in listed.hits] == ["b", "d", "a", "c"]
    assert listed.notes.total() == 2
