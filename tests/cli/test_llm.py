"""Language models on the command line: rerank and resume like any reranker, options are checked."""

import json

import pytest

from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.rerankers.llm.letters import LetterReranker
from polyrank.rerankers.load import RerankerSpec, load_reranker

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


def test_rerank_equals_the_api_and_resumes(llama, texts, polyrank, tmp_path, monkeypatch):
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

    ranked = LetterReranker.rank_all

    def stopped(self, requests):
        yield next(ranked(self, requests))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LetterReranker, "rank_all", stopped)
        assert polyrank(*asked).exit_code == 130
    assert b"q1" not in output.read_bytes()
    refused = polyrank(*asked, "--resume", "--step", "2")
    assert refused.exit_code == 2 and "cannot be resumed" in refused.stderr
    resumed = polyrank(*asked, "--resume")
    assert resumed.exit_code == 0 and "1 queries were already there" in resumed.stderr
    assert output.read_bytes() == whole


def test_details_stand_in_json(llama, texts, polyrank, tmp_path):
    output = tmp_path / "out.jsonl"
    done = polyrank(
        "rerank", *texts, "--model", llama, "--scorer", "integers", "--device", "cpu",
        "--output", output,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 8 and all(len(row) > 3 for row in rows)


def test_a_language_model_is_asked_how_it_scores(llama):
    with pytest.raises(UsageError, match="say how it scores, such as --scorer label"):
        load_reranker(llama, device="cpu")


def test_search_shows_details(llama, texts, polyrank):
    done = polyrank(
        "search", *texts[:4], "--first-stage", "bm25", "--model", llama, "--scorer", "integers",
        "--device", "cpu", "--query-language", "en", "--document-language", "en", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    hit = json.loads(done.stdout.splitlines()[0])["hits"][0]
    assert set(hit) > {"rank", "document_id", "score", "title", "text", "language"}


def test_insertrank_is_bound_to_first_stage_scores(llama):
    reranker = load_reranker({"model": str(llama), "options": {"scorer": "insertrank"}})
    assert reranker.reads_first_stage and reranker.device.type == "cpu"


def test_a_spec_with_options_is_a_value(llama):
    spec = RerankerSpec(type="llm", model=str(llama), device="cpu", options={"scorer": "setwise"})
    one, other = load_reranker(spec), load_reranker(spec)
    assert one.identity() == other.identity() and not one.pointwise


LABEL = ["--model", "x", "--scorer", "label"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "3"], "--window goes with --scorer"),
        (["--scorer", "letters"], "--scorer needs --model"),
        ([*LABEL, "--scorer-option", "seed"], "NAME=VALUE"),
        ([*LABEL, "--scorer-option", "seed=x"], "is a whole number, not 'x'"),
        ([*LABEL, "--kind", "mask"], "--model says that already"),
        ([*LABEL, "--window", "3"], "has no option 'window'"),
        ([*LABEL, "--max-length", "99"], "not for language models"),
        ([*LABEL, "--scorer-option", "device=cpu"], "has no option 'device'"),
        ([*LABEL, "--scorer-option", "scorer=listwise"], "has no option 'scorer'"),
        ([*LABEL, "--scorer-option", "temperature=nan"], "is a number, not 'nan'"),
        ([*LABEL, "--scorer-option", "share_prefix=0"], "is true or false, not '0'"),
        ([*LABEL, "--engine", "u", "--precision", "bf16"], "leave out --precision"),
    ],
)
def test_options_that_do_not_fit(options, message, texts, polyrank):
    refused = polyrank("rerank", *texts, *options)
    assert refused.exit_code == 2 and message in refused.stderr, refused.stderr
