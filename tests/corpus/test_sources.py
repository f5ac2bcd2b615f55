import os
from pathlib import Path

import pytest

from polyrank.corpus.sources import Line, as_source, as_sources, blocks, lines
from polyrank.errors import DataError, LanguageError, UsageError


@pytest.mark.parametrize(
    ("given", "language", "path"),
    [
        ("ky.txt", "ky", "ky.txt"),
        ("texts/zh-Hant.clean.txt.gz", "zh-Hant", "texts/zh-Hant.clean.txt.gz"),
        ("kir=news.txt", "ky", "news.txt"),
        ("sw=a=b.txt", "sw", "a=b.txt"),
        (Path("fi.txt"), "fi", "fi.txt"),
    ],
)
def test_the_language_is_said_before_the_file_or_by_its_name(given, language, path):
    assert as_source(given) == (language, Path(path))


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(write):
    path = write("en=x.txt", ["a"])
    with pytest.raises(LanguageError, match="has no language in its name; put it in front"):
        as_source(path)
    assert as_source(f"en={path}") == ("en", path)


@pytest.mark.parametrize("given", ["news.txt", "q!=news.txt"])
def test_a_language_that_nobody_said(given):
    with pytest.raises(LanguageError):
        as_source(given)


def test_a_pipe_is_refused_as_it_is_read_twice(tmp_path):
    os.mkfifo(tmp_path / "ky.txt")
    with pytest.raises(DataError, match="a pipe, which cannot be read twice"):
        as_source(tmp_path / "ky.txt")


def test_one_file_or_several_but_not_none():
    assert as_sources("ky.txt") == as_sources(["ky.txt"])
    with pytest.raises(UsageError, match="give a text file"):
        as_sources([])


def test_lines_are_stripped_and_blank_ones_are_there(write):
    path = write("en.txt.gz", ["\ufeffone ", "", " \t", "\u00a0two\r"])
    assert list(lines(path)) == [Line(1, "one"), Line(2, ""), Line(3, ""), Line(4, "two")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "en.txt: the file is empty"),
        (b"\n \n", "en.txt: the file is empty"),
        (b"one\ncaf\xe9\n", "en.txt:2: not UTF-8"),
        (b'\n{"text": "one"}\n', "en.txt:2: JSON, where plain text is expected"),
    ],
)
def test_what_is_no_plain_text(content, message, tmp_path):
    (tmp_path / "en.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(lines(tmp_path / "en.txt"))


def test_blocks_keep_order_and_hold_all():
    numbered = [Line(n, str(n)) for n in range(1, 8)]
    assert [len(block) for block in blocks(numbered, 3)] == [3, 3, 1]
    assert [line for block in blocks(numbered, 3) for line in block] == numbered
