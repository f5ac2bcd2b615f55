import math

import pytest

from polyrank.collections import Document, Query
from polyrank.errors import UsageError
from polyrank.index.lexical import BM25, tokenize

DOCUMENTS = [
    Document("b", "the cat sat"),
    Document("a", "the cat sat"),
    Document("c", "dog dog ran far away", title="Cat"),
]


def ids(hits):
    return [hit.document_id for hit in hits]


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("Den 3. Mai!", ["den", "3", "mai"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("Суунун кайноо", ["суунун", "кайноо"]),
        ("北京市", ["北", "京", "市", "北京", "京市"]),
        ("iPhone的", ["iphone", "的"]),
        ("ไม่", ["ไ", "ม่", "ไม่"]),  # the tone mark stays with its consonant
        ("हिन्दी", ["हिन्दी"]),
        ("e\u0301t\u00e9", ["\u00e9t\u00e9"]),
        ("ＡＢＣ", ["abc"]),
        ("?! …", []),
        ("", []),
    ],
)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens


def test_scores_by_hand():
    k1, b, mean_length = 0.9, 0.4, (3 + 3 + 6) / 3
    norm = k1 * (1 - b + b * 6 / mean_length)
    dog = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5)) * 2 / (2 + norm)  # in 1 of 3
    cat = math.log(1 + (3 - 3 + 0.5) / (3 + 0.5)) * 1 / (1 + norm)
    scores = BM25(DOCUMENTS).scores("Dog cat dog unheard")
    assert scores[2] == pytest.approx(2 * dog + cat, rel=1e-5)
    assert scores[0] == scores[1]


def test_ties_by_id_and_padding():
    run = BM25(DOCUMENTS).search([Query("1", "sat"), Query("2", "zebra"), Query("3", "")], depth=2)
    assert [ids(hits) for hits in run.values()] == [["a", "b"]] * 3
    assert [hit.score for hit in run["2"]] == [0.0, 0.0]
    bare = BM25(DOCUMENTS).search([Query("1", "sat"), Query("2", "zebra")], pad=False)
    assert {q: ids(hits) for q, hits in bare.items()} == {"1": ["a", "b"], "2": []}


def test_order_of_documents_does_not_matter():
    queries = [Query("1", "cat dog"), Query("2", "the far")]
    assert BM25(DOCUMENTS).search(queries) == BM25(DOCUMENTS[::-1]).search(queries)


def test_own_tokenizer():
    bigrams = BM25(DOCUMENTS, tokenizer=lambda t: [t[i : i + 2] for i in range(len(t) - 1)])
    assert ids(bigrams.search([Query("1", "xxdo")], pad=False)["1"]) == ["c"]


def test_documents_without_words():
    run = BM25([Document("b", "…"), Document("a", "")]).search([Query("1", "x")])
    assert ids(run["1"]) == ["a", "b"]


@pytest.mark.parametrize(
    "build",
    [
        lambda: BM25([]),
        lambda: BM25([Document("a", "x"), Document("a", "y")]),
        lambda: BM25(DOCUMENTS, k1=-1),
        lambda: BM25(DOCUMENTS, b=1.5),
        lambda: BM25(DOCUMENTS).search([], depth=0),
    ],
)
def test_refusals(build):
    with pytest.raises(UsageError):
        build()
