"""Text files line by line: gzip by suffix, strict UTF-8, one place for the odd cases."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from polyrank.errors import DataError, UsageError

_OBJECT = re.compile(r'\s*\{\s*["}]')


def has_ending(path: str | Path, *endings: str) -> bool:
    """Whether a file's name ends so, gzipped or not.

    >>> has_ending("queries.tsv.gz", ".tsv")
    True
    """
    return Path(path).name.removesuffix(".gz").endswith(endings)


def is_nameless(path: str | Path) -> bool:
    """Whether a file's name does not say what it holds, as that of a pipe's copy; not of a pipe
    itself, which can be read but once."""
    return "." not in Path(path).name.removesuffix(".gz") and Path(path).is_file()


def holds_json_lines(path: str | Path) -> bool:
    """Whether a file holds JSON lines, where another form is possible: by its name, and without an
    ending by whether it begins as an object of JSON does.

    Raises:
        DataError: a file without an ending that cannot be read.
    """
    if not is_nameless(path):
        return has_ending(path, ".jsonl", ".json")
    _, first = next(numbered_lines(path))
    return _OBJECT.match(first) is not None


def open_text(path: str | Path) -> Iterator[str]:
    """The lines of a text file, without their ends; `numbered_lines` without the numbers."""
    return (line for _, line in numbered_lines(path))


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of a UTF-8 file, `.gz` read transparently.

    A byte-order mark at the start is dropped, CRLF is read as LF, blank lines are skipped but
    counted. Only LF ends a line, so U+2028 and its like stay inside a text.

    Raises:
        DataError: when the file is missing, a folder, not gzip, cut short, not UTF-8, or holds no
            line at all.
    """
    path, empty = Path(path), True
    for number, raw in raw_lines(path):
        line = decoded(raw, path, number)
        if line.strip():
            empty = False
            yield number, line
    if empty:
        raise DataError(path, None, "the file is empty")


def decoded(raw: bytes, path: str | Path, number: int) -> str:
    """A line of a UTF-8 file without its end; the first one also without a byte-order mark.

    Raises:
        DataError: bytes that are not UTF-8, with how to make them so.
    """
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        wide = number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        reason = (
            f"not UTF-8 ({error.reason}, byte {error.start}); convert it with: "
            f"iconv -f {'UTF-16' if wide else 'ENCODING'} -t UTF-8"
        )
        raise DataError(path, number, reason) from error


def parse_json(line: str) -> Any:
    """A line of JSON whose texts can be written as UTF-8.

    Raises:
        ValueError: no JSON, or half a surrogate pair, which JSON can spell but no file can hold.
    """
    found = json.loads(line)
    if "\\ud" in line.lower():  # nothing else can bring one in: the line itself was UTF-8
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            raise ValueError(
                f"{half} is half a surrogate pair and no character; a text was cut within one"
            ) from None
    return found


def raw_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, bytes with their line end) of a file, `.gz` read transparently.

    Raises:
        DataError: when the file is missing, a folder, not gzip, or cut short.
    """
    path, number = Path(path), 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for number, raw in enumerate(file, start=1):
                yield number, raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(path, number + 1, f"damaged gzip file: {error}") from error
    except FileNotFoundError:
        raise DataError(path, None, f"file not found{_alike(path)}") from None
    except IsADirectoryError:
        raise DataError(path, None, "a folder, where a file was expected") from None
    except PermissionError:
        raise DataError(path, None, "no permission to read it") from None


def _alike(path: Path) -> str:
    """The folder that is missing, or the file whose name is closest, where one is close."""
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent}"
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(path.parent) if entry.is_file()]
        for name in get_close_matches(path.name, sorted(names), n=1, cutoff=0.75):
            return f"; did you mean {path.with_name(name)}?"
    return ""


def lacking(error: Exception) -> str:
    """What is wrong with a row, in words: Python's own for a missing key is the key alone."""
    return f"no field {error}" if isinstance(error, KeyError) else str(error)


def refuse_over(output: str | Path, *inputs: str | Path | None) -> None:
    """Refuse to write over what is read.

    Raises:
        UsageError: the output is one of the files that are read, by whatever name.
    """
    for read in inputs:
        with suppress(OSError):  # one of them is not there
            if read is not None and os.path.samefile(output, read):
                raise UsageError(f"{output} is read, and would be overwritten; name another output")


def check_writable(path: str | Path) -> None:
    """Find out before the work whether `writing` can write there; the folder is made.

    Raises:
        UsageError: it cannot, and why.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if str(path) == "-" or (path.exists() and not path.is_file()):
            return
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.with_name(f".{path.name}.{os.getpid()}.partial")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def writing(path: str | Path) -> Iterator[TextIO]:
    """A text file to write, gzip by suffix; it takes its name only when it is complete.

    Written beside its place and renamed, so a crash leaves the old file or the new one. Gzip
    carries no time stamp: the same text gives the same bytes. '-' is standard output, and what is
    no regular file, such as /dev/null or a pipe, is written as it is.
    """
    if str(path) == "-":
        yield sys.stdout
        return
    path = Path(path)
    if path.exists() and not path.is_file():
        with open(path, "w", encoding="utf-8", newline="\n") as stream:
            yield stream
        return
    path = path.resolve()  # a link stays, and what it leads to is replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as raw:
            # No name and no time inside the gzip header.
            gzipped = path.suffix == ".gz"
            binary = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if gzipped else raw
            with io.TextIOWrapper(cast(BinaryIO, binary), "utf-8", newline="\n") as file:
                yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
