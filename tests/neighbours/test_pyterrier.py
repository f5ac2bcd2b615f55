"""With PyTerrier's own operators and checks."""

import subprocess
import sys

import pandas as pd
import pytest

pt = pytest.importorskip("pyterrier", reason="needs polyrank[pyterrier]")

from polyrank.collections.records import Document, Query  # noqa: E402
from polyrank.errors import UsageError  # noqa: E402
from polyrank.index.lexical import BM25  # noqa: E402
from polyrank.neighbours.pyterrier import Rerank, Retrieve  # noqa: E402

DOCUMENTS = [
    Document("d1", "water boils at a hundred degrees", language="en"),
    Document("d2", "salt water", title="Seas", language="en"),
    Document("d3", "iron and salt", language="en"),
    Document("d4", "water", language="en"),
]


class Shortest:
    """The shorter a document with its title, the better; it remembers the pairs."""

    def __init__(self):
        self.pairs = []

    def score(self, pairs):
        self.pairs += pairs
        return [-float(len(document.full_text)) for _, document in pairs]


def candidates(**more):
    return pd.DataFrame(
        {
            "qid": ["q2", "q1", "q2", "q1"],
            "query": ["tuz", "su", "tuz", "su"],
            "docno": ["d3", "d2", "d2", "d4"],
            "text": ["iron and salt", "salt water", "salt water", "water"],
            "score": [9.0, 9.0, 8.0, 8.0],
            "rank": [0, 0, 1, 1],
            **more,
        },
        index=[7, 3, 5, 1],
    )


def test_rerank_by_hand_keeps_every_row_and_column():
    out = Rerank(Shortest()).transform(candidates(source=["w", "x", "y", "z"]))
    assert out[["qid", "docno", "score", "rank", "source"]].to_dict("list") == {
        "qid": ["q2", "q2", "q1", "q1"],
        "docno": ["d2", "d3", "d4", "d2"],
        "score": [-10.0, -13.0, -5.0, -10.0],
        "rank": [0, 1, 0, 1],
        "source": ["y", "w", "z", "x"],
    }
    assert list(out.index) == [0, 1, 2, 3]


def test_ties_by_docno():
    out = Rerank(Shortest()).transform(candidates(text="same"))
    assert out["docno"].tolist() == ["d2", "d3", "d2", "d4"]


def test_languages_and_titles_from_columns_then_from_options():
    scorer = Shortest()
    frame = candidates(query_language=["tr", None, "tr", None], title=["", "Seas", None, ""])
    Rerank(scorer, query_language="ky", document_language="en").transform(frame)
    assert {(q.id, q.language) for q, _ in scorer.pairs} == {("q1", "ky"), ("q2", "tr")}
    assert {d.language for _, d in scorer.pairs} == {"en"}
    assert sorted(d.title for _, d in scorer.pairs) == ["", "", "", "Seas"]


def test_another_text_column():
    frame = candidates(body=["a", "bb", "ccc", "dddd"])
    assert Rerank(Shortest(), text="body").transform(frame)["docno"].tolist() == [
        *("d3", "d2"),
        *("d2", "d4"),
    ]


def test_operators():
    pipeline = Retrieve(BM25(DOCUMENTS), DOCUMENTS) % 2 >> Rerank(Shortest())
    out = pipeline(pt.new.queries(["salt water"], qid=["q"]))
    # salt is rarer than water, so BM25 ranks d2 and d3 first; "iron and salt" is the shorter one
    assert out["docno"].tolist() == ["d3", "d2"]
    assert out["rank"].tolist() == [0, 1]
    both = Retrieve(BM25(DOCUMENTS), DOCUMENTS) | Retrieve(BM25(DOCUMENTS[:1]), DOCUMENTS)
    assert len((both >> Rerank(Shortest()))(pt.new.queries(["salt"]))) == 4


def test_retrieve_equals_the_index_and_keeps_columns():
    bm25 = BM25(DOCUMENTS)
    frame = pd.DataFrame({"qid": ["a", "b"], "query": ["salt", "iron"], "topic": [1, 2]})
    out = Retrieve(bm25, depth=3)(frame)
    run = bm25.search([Query("a", "salt"), Query("b", "iron")], 3)
    assert out["docno"].tolist() == [h.document_id for hits in run.values() for h in hits]
    assert out["score"].tolist() == [h.score for hits in run.values() for h in hits]
    assert out["rank"].tolist() == [0, 1, 2] * 2 and out["topic"].tolist() == [1] * 3 + [2] * 3
    assert "text" not in out


@pytest.mark.parametrize(
    ("transformer", "columns"),
    [
        (Rerank(Shortest()), ["qid", "query", "docno", "text", "extra"]),
        (Retrieve(BM25(DOCUMENTS), DOCUMENTS), ["qid", "query", "extra"]),
    ],
)
def test_empty_frames(transformer, columns):
    out = transformer(pd.DataFrame({name: pd.Series(dtype=object) for name in columns}))
    assert len(out) == 0 and {*columns, "docno", "text", "score", "rank"} <= set(out.columns)
    assert out["score"].dtype == float and out["rank"].dtype == int


def test_what_pyterrier_infers():
    pipeline = Retrieve(BM25(DOCUMENTS), DOCUMENTS) >> Rerank(Shortest())
    assert {"qid", "query", "docno", "text", "score", "rank"} <= set(
        pt.inspect.transformer_outputs(pipeline, ["qid", "query"])
    )
    assert sorted(
        pt.inspect.transformer_inputs(Rerank(Shortest()))[0],
        key=["qid", "query", "docno", "text"].index,
    ) == ["qid", "query", "docno", "text"]


def test_its_schematic_shows_both_steps_and_their_columns():
    pipeline = Retrieve(BM25(DOCUMENTS), DOCUMENTS) >> Rerank(Shortest())
    found = pt.schematic.transformer_schematic(pipeline, input_columns=["qid", "query"])
    first, second = found["transformers"]
    assert {"docno", "text", "score"} <= set(first["output_columns"])
    assert set(second["output_columns"]) == set(first["output_columns"])
    drawn = pt.schematic.draw(pipeline)
    assert "Retrieve" in drawn and "Rerank" in drawn and "salt" not in drawn


@pytest.mark.parametrize("column", ["qid", "query", "docno", "text"])
def test_a_missing_column_is_named(column):
    with pytest.raises(KeyError, match=f"missing_columns=.*'{column}'"):
        Rerank(Shortest()).transform(candidates().drop(columns=[column]))


def test_refusals():
    twice = pd.concat([candidates(), candidates()])
    with pytest.raises(UsageError, match="document twice"):
        Rerank(Shortest()).transform(twice)
    with pytest.raises(UsageError, match="two documents have the id|document twice"):
        Rerank(Shortest()).transform(twice.assign(text=[str(i) for i in range(8)]))
    with pytest.raises(UsageError, match="two queries have the id 'q2'"):
        Rerank(Shortest()).transform(candidates(query=["a", "b", "c", "b"]))
    with pytest.raises(UsageError, match="not among the documents given"):
        Retrieve(BM25(DOCUMENTS), DOCUMENTS[:1])(pt.new.queries(["salt"]))


def test_a_real_reranker_gives_the_same_scores_as_alone(tiny_zoo, tiny_base):
    from polyrank import Reranker

    reranker = Reranker(tiny_base, zoo=tiny_zoo, device="cpu")
    out = (Retrieve(BM25(DOCUMENTS), DOCUMENTS) >> Rerank(reranker, query_language="tr"))(
        pt.new.queries(["salt water"], qid=["q"])
    )
    alone = reranker.rank(Query("q", "salt water", "tr"), DOCUMENTS)
    assert out["docno"].tolist() == [hit.document_id for hit in alone]
    assert out["score"].tolist() == [hit.score for hit in alone]


def test_nothing_else_imports_pyterrier():
    code = (
        "import sys, polyrank\n"
        "for name in polyrank.__all__: getattr(polyrank, name)\n"
        "sys.exit('pyterrier' in sys.modules or 'ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
