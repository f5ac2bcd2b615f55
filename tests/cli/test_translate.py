"""Rows and collections in another language, by the command line; what does not go together."""

from __future__ import annotations

import json

import pytest

NAMES = ("source", "target", "text", "translation")


@pytest.fixture
def memory(tmp_path):
    """What `memory:FILE` reads: one text with its markers, and one whose markers were lost."""
    rows = [
        ("tr", "en", "<1>Ankara</1> büyük", "Big is <1>Ankara</1>"),
        ("tr", "en", "<1>Su</1> kaynar", "<1>Water boils"),
        ("tr", "en", "su", "water"),
    ]
    path = tmp_path / "memory.jsonl"
    path.write_text("".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in rows))
    return f"memory:{path}"


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [
        {"_id": "1", "text": "Ankara büyük", "spans": [[0, 6]]},
        {"_id": "2", "text": "Su kaynar", "spans": [[0, 2]]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_rows_and_their_failures(polyrank, rows, memory, tmp_path):
    asked = ("translate", "--input", rows, "--source", "tr", "--target", "en")
    failed = tmp_path / "failed.jsonl"
    result = polyrank(*asked, "--translator", memory, "--failed", failed)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    assert json.loads(result.stdout) == {
        "_id": "1", "text": "Big is Ankara", "spans": [[7, 13]], "language": "en",
    }  # fmt: skip
    (lost,) = map(json.loads, failed.read_text().splitlines())
    assert (lost["_id"], lost["given"]) == ("2", "<1>Water boils")
    assert "1 in" in result.stderr and "translated 1 rows" in result.stderr
    result = polyrank(*asked, "--translator", memory, "--output", tmp_path / "out.jsonl")
    assert result.exit_code == 2 and "Give --failed FILE" in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_a_search_by_translated_queries(polyrank, memory, tmp_path):
    queries, documents = tmp_path / "queries.tsv", tmp_path / "documents.tsv"
    queries.write_text("q\tsu\n")
    documents.write_text("d\tland\ne\twater here\n")
    asked = ("search", "--queries", queries, "--documents", documents, "--query-language", "tr",
             "--document-language", "en", "--first-stage", "bm25", "--no-rerank")  # fmt: skip
    output = tmp_path / "run.trec"
    result = polyrank(*asked, "--translate", "query", "--translator", memory, "--output", output)
    assert result.exit_code == 0, result.stderr
    assert output.read_text().split()[:4] == ["q", "Q0", "e", "1"]
    for options, message in (
        (("--translate", "query"), "--translate query needs a --translator"),
        (("--translator", memory), "go with --translate query or document"),
        (("--translate", "gold"), "--translate gold takes a --collection"),
    ):
        result = polyrank(*asked, *options)
        assert result.exit_code == 2 and message in result.stderr


def test_what_does_not_go_together(polyrank, rows, memory):
    result = polyrank("translate", "--source", "tr", "--target", "en", "--translator", memory)
    assert result.exit_code == 2 and "give --input or --collection" in result.stderr
    result = polyrank("translate", "--input", rows, "--source", "tr", "--target", "tur",
                      "--translator", memory)  # fmt: skip
    assert result.exit_code == 2 and "both 'tr'" in result.stderr
    rows.write_text("[1]\n")
    result = polyrank("translate", "--input", rows, "--source", "tr", "--target", "en",
                      "--translator", memory)  # fmt: skip
    assert (
        result.exit_code == 2
        and "rows.jsonl:1: a JSON list, where an object was expected" in result.stderr
    )


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ({"text": "su"}, ("--field", "txet"), "has no field 'txet'; it has text"),
        ({"body": "su", "title": "su", "spans": [[0, 2]]}, (), "are in 'text', which it lacks"),
        (
            {"text": "su", "body": "su", "spans": [[0, 2]]},
            ("--marked", "body"),
            "are in 'body', which it lacks or which is not translated",
        ),
        ({"text": "su", "spans": None}, (), "spans of row {'text': 'su', 'spans': None} are None"),
    ],
)
def test_rows_that_cannot_be_translated_as_asked(polyrank, rows, memory, row, options, message):
    rows.write_text("\n" + json.dumps(row) + "\n")
    result = polyrank("translate", "--input", rows, "--source", "tr", "--target", "en",
                      "--translator", memory, *options)  # fmt: skip
    assert result.exit_code == 2 and "rows.jsonl:2: " in result.stderr, result.stderr
    assert message in result.stderr and not result.stdout


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("option", ["--output", "--failed"])
def test_a_memory_is_no_output_and_no_input(polyrank, rows, memory, tmp_path, exists, option):
    asked = ("translate", "--source", "tr", "--target", "en", "--translator", memory)
    both, read = tmp_path / "both.jsonl", rows.read_text()
    if exists:
        both.write_text("")
    result = polyrank(*asked, "--input", rows, "--memory", both, option, both)
    told = "is read, and would be overwritten" if exists else f"--memory and {option} are both"
    assert result.exit_code == 2 and told in result.stderr
    assert both.exists() == exists
    result = polyrank(*asked, "--input", rows, "--memory", rows)
    assert result.exit_code == 2 and "is read, and would be overwritten" in result.stderr
    result = polyrank(*asked, "--input", rows, option, memory.removeprefix("memory:"))
    assert result.exit_code == 2 and "is read, and would be overwritten" in result.stderr
    assert rows.read_text() == read


def test_gold_that_nobody_translated(polyrank, tmp_path):
    """One file of queries is read in each language; no other was found."""
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "su"}\n')
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "water"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    asked = ("search", "--collection", tmp_path, "--first-stage", "bm25", "--no-rerank",
             "--translate", "gold")  # fmt: skip
    result = polyrank(*asked, "--query-language", "tr", "--document-language", "en")
    assert result.exit_code == 2 and "are the same texts in both languages" in result.stderr
    result = polyrank(*asked)
    assert result.exit_code == 2 and "in none that is known (unknown)" in result.stderr
    result = polyrank(*asked, "--query-language", "en", "--document-language", "en")
    assert result.exit_code == 0, result.stderr


def test_what_a_model_did_not_finish_is_told(polyrank, rows, bart):
    rows.write_text('{"text": "water"}\n{"text": "ice"}\n')
    result = polyrank("translate", "--input", rows, "--source", "tr", "--target", "en",
                      "--translator", bart)  # fmt: skip
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 2
    assert "stopped before their end (2 times)" in result.stderr
