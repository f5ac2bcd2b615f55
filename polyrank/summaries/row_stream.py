"""Rows of candidates, each written when it is made; a run that was stopped goes on.

The output itself is the record of what is done, as of `polyrank.runs.rerank`. Beside it stands
OUTPUT.resume.json with what the rows depend on, until the last one is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO, TypeVar

from polyrank.collections.appended import mended
from polyrank.collections.files import check_writable, writing
from polyrank.collections.jsonl import json_object
from polyrank.errors import UsageError
from polyrank.locks import locked
from polyrank.runs.resume import (
    Job,
    check_resumable,
    check_resume,
    check_start,
    sidecar,
    until_finished,
)
from polyrank.summaries.candidates import CandidateSet, row_of


class Source(Protocol):
    """What a row is made of: an article, or the candidates of one."""

    @property
    def id(self) -> str:
        """Of the article; each has its own."""
        ...


S = TypeVar("S", bound=Source)


@dataclass(frozen=True)
class Streamed:
    """What stands in the output: articles, their candidates, and how many of these articles an
    earlier, interrupted run had left there."""

    articles: int
    candidates: int
    resumed: int


def check_output(output: Path, resume: bool) -> None:
    """Refuse, before anything is loaded, an output that cannot be written or gone on with.

    Raises:
        UsageError: such an output, or one that holds unfinished work, without `resume`.
    """
    check_resumable(output, resume)
    check_writable(output)
    if resume and not _is_file(output):
        raise UsageError(f"--resume needs an --output file; {output} cannot be continued")
    if not resume:
        check_start(output)


def stream_rows(
    read: Callable[[], Iterable[S]],
    make: Callable[[Iterator[S]], Iterator[CandidateSet]],
    output: Path,
    settings: Mapping[str, Any],
    resume: bool = False,
) -> Streamed:
    """Make rows and write each as it comes.

    Args:
        read: gives what rows are made of, the same whenever it is called. It is gone through once
            before the work, which finds what is wrong with its last line before that.
        make: gives the rows, in the order of what it gets; it may leave some out.
        output: JSON lines; '-' for standard output.
        settings: what the rows depend on; `resume` refuses to go on when they differ.
        resume: go on where an interrupted call with the same output stopped.

    Raises:
        UsageError: when the output cannot be resumed, would overwrite unfinished work, or another
            process writes it.
        Interrupted: on Ctrl-C, with how to go on.
    """
    check_output(output, resume)
    if not _is_file(output):
        with writing(output) as file:
            return Streamed(*_write(make(iter(read())), file), resumed=0)
    with locked(output):
        job = Job({**settings, "articles": _digest(read())})
        if resume:
            check_resume(output, job)
        done = _done(output) if resume and output.exists() else []
        made = make(_behind([identity for identity, _ in done], read(), output))
        articles, texts = _to_file(made, output, job, "a" if resume else "w")
    earlier = sum(count for _, count in done)
    return Streamed(len(done) + articles, earlier + texts, len(done))


def _is_file(output: Path) -> bool:
    """Whether it is a file, or will be one; not standard output, a pipe or a device."""
    return str(output) != "-" and (output.is_file() or not output.exists())


def _digest(sources: Iterable[Source]) -> str:
    """How many there are, and a short hash of all that they hold."""
    count, digest = 0, sha256()
    for source in sources:
        count += 1
        digest.update(repr(source).encode())
    return f"{count:,} with sha256 {digest.hexdigest()[:12]}"


def _done(output: Path) -> list[tuple[str, int]]:
    """Article and number of candidates of each whole row; a cut last one is removed."""

    def parse(line: str, number: int) -> tuple[str, int]:
        row = json_object(line, output, number)
        return str(row.get("_id")), len(row.get("candidates") or ())

    return mended(output, parse)


def _behind(done: Iterable[str], sources: Iterable[S], output: Path) -> Iterator[S]:
    """What comes after the last that is done; what stands between done ones gave no row."""
    ahead = iter(sources)
    for identity in done:
        if not any(source.id == identity for source in ahead):
            raise UsageError(
                f"{output} cannot be resumed: its row of '{identity}' is not of the next article.\n"
                f"Start anew after:  rm {output} {sidecar(output)}"
            )
    return ahead


def _to_file(
    made: Iterator[CandidateSet], output: Path, job: Job, mode: Literal["a", "w"]
) -> tuple[int, int]:
    """Articles and candidates that were written."""
    with until_finished(output):
        # What fails at the first article leaves an older output alone, and nothing to resume.
        first = list(islice(made, 1))
        job.write(output)
        with open(output, mode, encoding="utf-8", newline="\n") as file:
            return _write(chain(first, made), file)


def _write(made: Iterable[CandidateSet], file: TextIO) -> tuple[int, int]:
    """Articles and candidates that were written, each article flushed."""
    articles = texts = 0
    for found in made:
        file.write(row_of(found))
        file.flush()
        articles, texts = articles + 1, texts + len(found.candidates)
    return articles, texts
