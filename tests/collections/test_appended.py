"""Files that lines are appended to: which ends are whole, which are cut, and what is left alone."""

from __future__ import annotations

import json

import pytest

from polyrank.collections.appended import appended, mended
from polyrank.collections.jsonl import json_object
from polyrank.errors import DataError

FIRST, LAST = b'{"a": 1}\n', '{"a": "é\u2028"}'.encode()


@pytest.mark.parametrize("length", range(len(LAST) + 2))
def test_every_place_of_a_kill(tmp_path, length):
    path, whole = tmp_path / "rows", length >= len(LAST)
    content = FIRST + (LAST + b"\n")[:length]
    path.write_bytes(content)
    expected = [{"a": 1}, *([json.loads(LAST)] if whole else [])]
    parse = lambda line, number: json_object(line, path, number)  # noqa: E731
    assert appended(path, parse) == expected and path.read_bytes() == content
    assert mended(path, parse) == expected
    assert path.read_bytes() == FIRST + (LAST + b"\n" if whole else b"")


@pytest.mark.parametrize("content", [b"notes", b"1\n{", FIRST + b"\0\0", b"\xff\n{"])
def test_another_file_stays_as_it_was(tmp_path, content):
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(DataError):
        mended(path, lambda line, number: json_object(line, path, number))
    assert path.read_bytes() == content
