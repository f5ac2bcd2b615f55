import gzip
import os
from pathlib import Path

import pytest

from polyrank.collections.files import check_writable, numbered_lines, open_text, writing
from polyrank.errors import DataError


def test_bom_crlf_and_blank_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\n")
    assert list(numbered_lines(path)) == [(1, "one"), (3, "two")]


def test_only_lf_ends_a_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("a\u2028b\x0cc\x85d".encode())
    assert list(open_text(path)) == ["a\u2028b\x0cc\x85d"]


def test_gzip_is_transparent_and_deterministic(tmp_path):
    for name in ("a.gz", "b.gz"):
        with writing(tmp_path / name) as file:
            file.write("суу\n")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert list(open_text(tmp_path / "a.gz")) == ["суу"]


def test_what_is_no_regular_file_is_written_as_it_is(tmp_path, capsys):
    with writing("-") as file:
        file.write("суу\n")
    assert capsys.readouterr().out == "суу\n"
    check_writable(os.devnull)
    with writing(os.devnull) as file:
        file.write("суу\n")
    assert not Path(os.devnull).is_file()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    with writing(tmp_path / "link") as file:
        file.write("суу\n")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "kept").read_text() == "суу\n"


@pytest.mark.parametrize(
    "name, content, line, reason",
    [
        ("a.txt", b"", None, "empty"),
        ("a.txt", b"\n \n", None, "empty"),
        ("a.txt", b"good\nb\xffd\n", 2, "not UTF-8 .* iconv -f ENCODING -t UTF-8"),
        ("a.txt", "good".encode("utf-16"), 1, "not UTF-8 .* iconv -f UTF-16 -t UTF-8"),
        ("a.gz", b"no gzip", 1, "damaged gzip"),
        ("a.gz", gzip.compress(b"one\ntwo\n" * 999, mtime=0)[:-12], None, "damaged gzip"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(tmp_path, name, content, line, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        list(open_text(path))
    assert caught.value.path == str(path)
    assert line is None or caught.value.line == line


def test_missing_file_and_folder(tmp_path):
    (tmp_path / "queries.tsv").write_text("q\twater\n")
    with pytest.raises(DataError, match="none: file not found$"):
        list(open_text(tmp_path / "none"))
    with pytest.raises(DataError, match=r"file not found; did you mean .*/queries\.tsv\?$"):
        list(open_text(tmp_path / "querys.tsv"))
    with pytest.raises(DataError, match="file not found; there is no folder .*/none$"):
        list(open_text(tmp_path / "none" / "queries.tsv"))
    with pytest.raises(DataError, match="a folder"):
        list(open_text(tmp_path))


@pytest.mark.parametrize("name", ["run.txt", "run.txt.gz"])
def test_a_crash_leaves_the_old_file(tmp_path, name):
    path = tmp_path / name
    with writing(path) as file:
        file.write("old\n")
    with pytest.raises(KeyboardInterrupt), writing(path) as file:
        file.write("new\n")
        raise KeyboardInterrupt
    assert list(open_text(path)) == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == [name]
