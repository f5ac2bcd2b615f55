"""Language models on the command line: rerank and resume like any reranker, options are checked."""

import json

import pytest

from polyrank.collections.records import Document, Query
from polyrank.rerankers.llm.letters import LetterReranker
from polyrank.rerankers.load import RerankerSpec, load_reranker

from ..rerankers.llm.conftest import chat_tokenizer, llama  # noqa: F401

PASSAGES = ["water boils at a hundred degrees", "the river is long", "iron", "salt and water"]


@pytest.fixture
def texts(tmp_path):
    """--queries and --documents of two questions and four passages, and a first stage."""
    queries, documents = tmp_path / "queries.jsonl", tmp_path / "documents.jsonl"
    rows = [{"_id": f"q{i}", "text": t} for i, t in enumerate(("boiling water", "rivers"))]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"_id": f"d{i}", "text": text} for i, text in enumerate(PASSAGES)]
    documents.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = tmp_path / "first.trec"
    run.write_text(
        "".join(f"q{q} Q0 d{d} {d + 1} {4 - d} first\n" for q in range(2) for d in range(4))
    )
    return ["--queries", queries, "--documents", documents, "--run", run]


def test_rerank_equals_the_api_and_resumes(llama, texts, polyrank, tmp_path):  # noqa: F811
    output = tmp_path / "out.trec"
    asked = ["rerank", *texts, "--model", llama, "--scorer", "letters", "--window", "3"]
    asked += ["--device", "cpu", "--output", output]
    done = polyrank(*asked)
    assert done.exit_code == 0, done.stderr
    reranker = load_reranker(str(llama), device="cpu", options={"scorer": "letters", "window": 3})
    assert isinstance(reranker, LetterReranker)
    documents = [Document(f"d{i}", text) for i, text in enumerate(PASSAGES)]
    first = [hit.document_id for hit in reranker.rank(Query("q0", "boiling water"), documents)]
    written = [line.split() for line in output.read_text().splitlines()]
    assert [row[2] for row in written if row[0] == "q0"] == first
    whole = output.read_bytes()

    cut = whole[: whole.index(b"q1")]
    output.write_bytes(cut)
    again = polyrank(*asked, "--resume")
    assert again.exit_code == 2 and "is finished" in again.stderr  # nothing says how it was made


def test_details_stand_in_json(llama, texts, polyrank, tmp_path):  # noqa: F811
    output = tmp_path / "out.jsonl"
    done = polyrank(
        "rerank", *texts, "--model", llama, "--scorer", "integers", "--device", "cpu",
        "--output", output,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 8 and all(len(row) > 3 for row in rows)


def test_a_folder_of_a_language_model_needs_no_scorer(llama):  # noqa: F811
    reranker = load_reranker(llama, device="cpu")
    assert type(reranker).__name__ == "LabelReranker" and reranker.pointwise


def test_a_spec_with_options_is_a_value(llama):  # noqa: F811
    spec = RerankerSpec(type="llm", model=str(llama), device="cpu", options={"scorer": "setwise"})
    one, other = load_reranker(spec), load_reranker(spec)
    assert one.identity() == other.identity() and not one.pointwise


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "3"], "--window goes with --scorer"),
        (["--scorer", "letters"], "--scorer needs --model"),
        (["--model", "x", "--scorer", "letters", "--scorer-option", "repeats"], "NAME=VALUE"),
        (["--model", "x", "--scorer", "groupwise", "--scorer-option", "repeats=x"], "type int"),
        (["--model", "x", "--scorer", "label", "--kind", "mask"], "--model says that already"),
        (["--model", "x", "--scorer", "label", "--window", "3"], "has no option 'window'"),
    ],
)
def test_options_that_do_not_fit(options, message, texts, polyrank):
    refused = polyrank("rerank", *texts, *options)
    assert refused.exit_code == 2 and message in refused.stderr, refused.stderr
