"""Rows of other projects: what each becomes, that it is recognised, and errors with their place."""

from __future__ import annotations

import json

import pytest

from polyrank.errors import DataError, UsageError
from polyrank.training.examples.rows import read_rows, recognised

FLAG = {
    "query": "when",
    "pos": ["in june", "june"],
    "neg": ["never"],
    "pos_scores": [2.0, 1],
    "neg_scores": [-1.0],
}
TEVATRON = {
    "query_id": "7",
    "query": "when",
    "positive_passages": [{"docid": "d1", "title": "Ice", "text": "in june"}],
    "negative_passages": [{"docid": "d2", "text": "never"}],
}


@pytest.fixture
def write(tmp_path):
    """write(name, *rows): a line each, JSON unless it is text."""

    def written(name, *rows):
        path = tmp_path / name
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return written


def test_flagembedding(write):
    path = write("flag.jsonl", FLAG, {"query": "who", "pos": ["june"], "neg": []})
    assert recognised(path) == "flagembedding"
    examples, passages = read_rows(path, language="en")
    first, second = examples
    assert [passages[i].text for i in first.candidates] == ["in june", "june", "never"]
    assert first.teacher == (2.0, 1.0, -1.0) and second.teacher is None
    assert second.positives == first.positives[1:]  # the same text is the same passage
    assert {p.language for p in passages.values()} == {"en"} and len(passages) == 3


def test_tevatron(write):
    path = write("tevatron.jsonl", TEVATRON)
    assert recognised(path) == "tevatron"
    (example,), passages = read_rows(path)
    assert (example.query.id, example.query.text) == ("7", "when")
    assert (example.positives, example.negatives) == (("d1",), ("d2",))
    assert passages["d1"].full_text == "Ice in june"


def test_margin_tsv(write):
    path = write("margins.tsv", "9.5\t1.5\tq\ta\tb", "9.5\t-2\tq\ta\tc", "3\t1\tr\tb\tc")
    assert recognised(path) == "margin-tsv"
    passages = write("passages.tsv", "a\tsea", "b\tice", "c\tiron")
    texts = write("queries.tsv", "q\twhen", "r\twho")
    (first, second), found = read_rows(path, passages, texts=texts, teacher=True)
    assert (first.query.text, first.positives, first.negatives) == ("when", ("a",), ("b", "c"))
    assert first.teacher == (9.5, 1.5, -2.0) and second.teacher == (3.0, 1.0)
    assert found["c"].text == "iron"
    with pytest.raises(UsageError, match="give --query-texts"):
        read_rows(path, passages)
    with pytest.raises(UsageError, match="give --passages"):
        read_rows(path, texts=texts)


@pytest.mark.parametrize("form", ["folder", "file.parquet", "file.jsonl"])
def test_datasets_by_columns(tmp_path, form):
    from datasets import Dataset

    rows = {
        "question": ["when", "who"],
        "answer": ["june", "ann"],
        "wrong_1": ["never", "bob"],
        "wrong_2": ["may", "eve"],
        "s": [[3.0], [2.0]],
        "t": [[1.0, 0.5], [0.0, -1.0]],
    }
    dataset, path = Dataset.from_dict(rows), tmp_path / form
    if form == "folder":
        dataset.save_to_disk(path)
    else:
        getattr(dataset, {"parquet": "to_parquet", "jsonl": "to_json"}[form[5:]])(path)
    columns = {"query": "question", "pos": "answer", "neg": "wrong_1+wrong_2"}
    columns |= {"pos_scores": "s", "neg_scores": "t"}
    (first, second), passages = read_rows(path, columns=columns, teacher=True)
    assert [passages[i].text for i in first.candidates] == ["june", "never", "may"]
    assert second.teacher == (2.0, 0.0, -1.0) and second.query.text == "who"
    with pytest.raises(
        UsageError, match=r"(?s)no column 'query' for 'query'.*--columns query=COLUMN"
    ):
        read_rows(path, form="datasets")
    with pytest.raises(UsageError, match="no column 'asked' for 'query'"):
        read_rows(path, columns={"query": "asked"})
    with pytest.raises(UsageError, match="no column 'queries' to map"):
        read_rows(path, columns={"queries": "question"})


def test_our_own_rows_and_further_passages(write):
    path = write("ours.jsonl", {"_id": "q", "text": "when", "pos": "a"})
    passages = write("passages.jsonl", {"_id": "a", "text": "june"})
    assert recognised(path) == "polyrank"
    (example,), _ = read_rows(path, passages)
    assert example.positives == ("a",)
    _, more = read_rows(write("t.jsonl", TEVATRON), passages)
    assert set(more) == {"d1", "d2", "a"}  # negatives may be mined from all
    with pytest.raises(DataError, match="'d1' has another text"):
        read_rows(
            write("t.jsonl", TEVATRON), write("p.jsonl", {"_id": "d1", "text": "something else"})
        )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**FLAG, "neg_scores": []}, "2 positives and 1 negatives have 2 scores"),
        ({**FLAG, "pos": []}, "0 positives and 1 negatives have 3 scores"),
        ({"query": "who", "pos": ["x"], "neg": ["x"]}, "is a positive and a negative"),
        ({"query": "who", "pos": ["x", 3]}, "a passage is 3, not a text"),
        ({"pos": ["x"]}, "the query is None"),
        ([1], "a JSON list"),
        ("{", "Expecting"),
    ],
)
def test_a_bad_flagembedding_row_is_named(write, row, message):
    with pytest.raises(DataError, match=rf"f.jsonl:2: .*({message})"):
        read_rows(write("f.jsonl", FLAG, row))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": "x", "positive_passages": []}, "no field 'query_id'"),
        ({**TEVATRON, "query_id": "8", "positive_passages": []}, "it has no positive"),
        (
            {**TEVATRON, "query_id": "8", "negative_passages": [{"docid": "d2", "text": "no"}]},
            "the passage 'd2' has another text",
        ),
        (TEVATRON, "the id '7' stands in an earlier row"),
        ({**TEVATRON, "positive_passages": [{"text": "x"}]}, "no field 'docid'"),
    ],
)
def test_a_bad_tevatron_row_is_named(write, row, message):
    with pytest.raises(DataError, match=rf"t.jsonl:2: .*{message}"):
        read_rows(write("t.jsonl", TEVATRON, row))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t2\tq\ta", "4 columns between tabs, expected 5"),
        ("x\t2\tq\ta\tb", "could not convert"),
        ("nan\t2\tq\ta\tb", "not finite"),
        ("1\t2\tz\ta\tb", "'z' is not among the queries"),
        ("2\t2\tq\ta\tc", "'a' has another score"),
        ("1\t2\tq\tb\tc", "'b' is a positive and a negative"),
    ],
)
def test_a_bad_margin_line_is_named(write, line, message):
    path = write("m.tsv", "1\t0\tq\ta\tb", line)
    with pytest.raises(DataError, match=rf"m.tsv:2: .*{message}"):
        read_rows(path, write("p.tsv", "a\tx", "b\ty", "c\tz"), texts=write("q.tsv", "q\tx"))


def test_what_does_not_fit(write, tmp_path):
    flag = write("f.jsonl", FLAG, {"query": "who", "pos": ["june"]})
    for options, message in (
        ({"form": "x"}, "unknown form"),
        ({"form": "tevatron", "columns": {"query": "q"}}, "--columns are of rows of 'datasets'"),
        ({"texts": flag}, "--query-texts are of rows of 'margin-tsv'"),
    ):
        with pytest.raises(UsageError, match=message):
            read_rows(flag, **options)
    with pytest.raises(DataError, match="'row2' has no scores"):
        read_rows(flag, teacher=True)
    with pytest.raises(DataError, match=r"x.txt:1: no training row; name the form with --rows"):
        recognised(write("x.txt", "just text"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_rows(tmp_path / "absent")
    passages, texts = write("p.tsv", "a\tx"), write("q.tsv", "q\tx")
    with pytest.raises(DataError, match="'b' is not among the passages"):
        read_rows(write("m.tsv", "1\t0\tq\ta\tb"), passages, texts=texts)


def test_training_on_them_by_the_command_line(write, polyrank, tmp_path, tiny_mlm):
    path = write("flag.jsonl", FLAG, {**FLAG, "query": "who"})
    arguments = ["train", "ranking", "--queries", path, "--base", tiny_mlm, "--over", ""]
    arguments += ["--mine", "0", "--steps", "1", "--length", "32", "--batch-queries", "2"]
    output = tmp_path / "m"
    result = polyrank(*arguments, "--loss", "kl", "--output", output)
    assert result.exit_code == 0, result.output
    assert json.loads((output / "polyrank.json").read_text())["recipe"]["loss"] == "kl"
    result = polyrank(*arguments, "--columns", "x", "--output", "absent")
    assert result.exit_code == 2 and "--columns has 'x'" in result.stderr
