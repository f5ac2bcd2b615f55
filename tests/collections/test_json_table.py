"""Tables in JSON: lines or an array, with every column in every row."""

import gzip

import pytest

from polyrank.collections.json_table import json_table
from polyrank.errors import DataError

ROWS = [{"id": "a", "text": "ice", "title": None}, {"id": "b", "text": None, "title": "Sun"}]


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "a", "text": "ice"}\n\n{"id": "b", "title": "Sun"}\n',
        '[{"id": "a", "text": "ice"},\n {"id": "b", "title": "Sun"}]',
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.jsonl.gz"])
def test_what_a_row_lacks_is_none(tmp_path, name, text):
    raw = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    assert json_table(tmp_path / name) == ROWS


@pytest.mark.parametrize(
    "text, reason",
    [
        ("NaN", "t.jsonl:1: a JSON float"),  # ends a process that reads it with pyarrow
        ("{}\nnull\n", "t.jsonl:2: a JSON NoneType"),
        ("\n[{},\n\n {]", "t.jsonl:4: not JSON"),
        ("[{}, 1]", "row 2 is a JSON int"),
        ("[]", "without rows"),
        (" \n", "empty"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, reason):
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(DataError, match=reason):
        json_table(tmp_path / "t.jsonl")
