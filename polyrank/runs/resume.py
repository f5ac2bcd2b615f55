"""What an interrupted rerank leaves, and whether it may be continued.

The output itself is the record of what is done: a query is done when all its candidates stand there
in whole lines. OUTPUT.resume.json says what the scores in it depend on, and a first stage that was
searched, not given as a file, is kept in OUTPUT.first-stage.jsonl.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from polyrank.collections.records import Collection, Document, Query, Run, ScoredDocument
from polyrank.errors import Interrupted, UsageError
from polyrank.rerankers.base import Request

FORMAT = 1
ReadIds = Callable[[str], tuple[str, str]]  # a line of the output -> query id, document id


def sidecar(output: Path) -> Path:
    """The file that stands beside an unfinished output."""
    return output.with_name(output.name + ".resume.json")


def first_stage_file(output: Path) -> Path:
    """Where the first stage of an unfinished output is kept, if it was searched for it."""
    return output.with_name(output.name + ".first-stage.jsonl")


@contextmanager
def kept_first_stage(
    output: Path, resume: bool, search: Callable[[], Run]
) -> Iterator[tuple[Run, bool]]:
    """What a first stage found, and whether it was kept from before.

    It is kept until the output is finished.

    A resumed run must go on from the same candidates and scores. Searching again may give others:
    under another number of threads dense scores differ in the last bit, which moves the mean of
    `--interpolate`, and may swap neighbours or who is last within the depth. No hash can forgive
    that: whatever scores are rounded to, some lie at the edge. So the first stage itself is kept,
    and what it comes from (its name, the base, depth, limit, collection) stands in the settings of
    OUTPUT.resume.json, which are compared before anything is scored.

    Raises:
        UsageError: unfinished work without `resume`, or a kept first stage that cannot be read.
    """
    if not resume:
        check_start(output)  # before the search, and before the kept one would be overwritten
    kept = first_stage_file(output)
    # without a sidecar nothing says of which settings it is
    there = resume and all(file.exists() for file in (output, sidecar(output), kept))
    if not there:
        _write_run(search(), kept)
    try:
        yield _read_run(kept, output), there
    finally:
        if not sidecar(output).exists():  # finished, or refused before anything was written
            kept.unlink(missing_ok=True)


def _write_run(run: Run, path: Path) -> None:
    """A line for each query, also those without candidates; floats keep every bit."""
    lines = (
        json.dumps([query_id, [[hit.document_id, hit.score] for hit in hits]]) + "\n"
        for query_id, hits in run.items()
    )
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(lines)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_run(path: Path, output: Path) -> Run:
    try:
        with open(path, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return {
            query_id: [ScoredDocument(query_id, identity, score) for identity, score in hits]
            for query_id, hits in rows
        }
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is not the first stage that polyrank kept there ({error}).\n"
            f"Start anew after:  rm {output} {sidecar(output)} {path}"
        ) from None


def collection_hash(collection: Collection) -> str:
    """SHA-256 over all ids, languages and texts; of documents kept on disk, over their number."""
    digest = hashlib.sha256()
    held = collection.documents
    records: list[Query | Document] = list(collection.queries.values())
    if isinstance(held, dict):
        records += held.values()
    else:  # a published data set, too large to go through
        digest.update(json.dumps([collection.name, len(held)]).encode())
    for record in records:
        title = record.title if isinstance(record, Document) else None
        digest.update(json.dumps([record.id, record.language, title, record.text]).encode())
    return digest.hexdigest()


def candidates_hash(rankings: Iterable[tuple[str, Sequence[Any]]]) -> str:
    """SHA-256 over the query and document ids of a first stage, in order, with scores if given."""
    digest = hashlib.sha256()
    for query_id, document_ids in rankings:
        digest.update(json.dumps([query_id, *document_ids]).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Job:
    """What the bytes of an output depend on."""

    settings: Mapping[str, Any]
    candidates: str = ""  # hash; '' where there is no first stage
    collection: str = ""  # hash; '' where what is read stands in the settings

    def as_dict(self) -> dict[str, Any]:
        # Through JSON and back, so that what was written and what is asked compare as equals.
        plain: dict[str, Any] = json.loads(
            json.dumps(
                {
                    "format": FORMAT,
                    "settings": dict(self.settings),
                    "candidates": self.candidates,
                    "collection": self.collection,
                },
                default=str,
            )
        )
        return plain

    def write(self, output: Path) -> None:
        target = sidecar(output)
        temporary = target.with_name(target.name + ".tmp")
        try:
            temporary.write_text(json.dumps(self.as_dict(), indent=2, sort_keys=True) + "\n")
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line for each thing that is not as it was."""
    lines = []
    old, new = before.get("settings", {}), now["settings"]
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            lines.append(f"{name} was {old.get(name)!r} and is now {new.get(name)!r}")
    if before.get("candidates") != now["candidates"]:
        lines.append("the first-stage run has other candidates or scores")
    if before.get("collection") != now["collection"]:
        lines.append("the collection has other queries or documents")
    if before.get("format") != now["format"]:
        lines.append("it was written by another version of polyrank")
    return lines


@contextmanager
def until_finished(output: Path) -> Iterator[None]:
    """Around the writing of an output, which writes its sidecar, too; that is removed at the end.

    Raises:
        Interrupted: on Ctrl-C, with how to go on.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not sidecar(output).exists():
            raise Interrupted("stopped before anything was written") from None
        raise Interrupted(
            f"{output} holds what was done so far; go on with the same command and --resume"
        ) from None
    sidecar(output).unlink()


def check_resumable(output: Path, resume: bool) -> None:
    """Refuse, before the work, an output that could not be gone on with.

    Raises:
        UsageError: --resume without a file, or a compressed one.
    """
    if resume and str(output) == "-":
        raise UsageError("--resume needs an --output file; standard output cannot be continued")
    if output.suffix == ".gz":
        raise UsageError(f"{output}: a compressed file cannot be resumed; write it without .gz")


def check_start(output: Path) -> None:
    """Refuse to overwrite unfinished work.

    Raises:
        UsageError: when an unfinished run stands at the output.
    """
    if sidecar(output).exists():
        raise UsageError(
            f"{output} is the unfinished output of an earlier run.\n"
            f"Continue it with --resume, or start anew after:  rm {output} {sidecar(output)}"
        )


def check_resume(output: Path, job: Job) -> None:
    """Refuse to continue what was started with other settings.

    Raises:
        UsageError: when the output is finished or foreign, or the settings differ.
    """
    if not output.exists():
        return  # nothing was written yet: resuming is starting
    if not sidecar(output).exists():
        raise UsageError(
            f"{output} is there without {sidecar(output).name}: it is finished, or was not written "
            "by this command.\nLeave out --resume to write it anew, or name another --output."
        )
    try:
        before = json.loads(sidecar(output).read_text())
    except ValueError as error:
        raise UsageError(
            f"{sidecar(output)}: not readable as JSON ({error}).\n"
            f"Start anew after:  rm {output} {sidecar(output)}"
        ) from None
    changed = differences(before, job.as_dict())
    if changed:
        listed = "\n".join(f"  - {line}" for line in changed)
        raise UsageError(
            f"{output} was started with other settings and cannot be resumed:\n{listed}\n"
            "Use the same settings as before, or name another --output."
        )


def is_done(lines: Sequence[bytes], request: Request, read_ids: ReadIds) -> bool:
    """True when the lines are this query's candidates, each exactly once."""
    wanted = {document.id for document in request.documents}
    if len(lines) != len(wanted):
        return False
    ids = [read_ids(line.decode()) for line in lines]
    return {i for i, _ in ids} <= {request.query.id} and {i for _, i in ids} == wanted


def read_done(file: IO[bytes], request: Request, read_ids: ReadIds) -> bool:
    """Read one query's ranking; True when it is whole, and then the file stands behind it.

    Raises:
        ValueError: when what stands there is not the beginning of this query's ranking.
    """
    start = file.tell()
    query, documents = request.query, request.documents
    lines: list[bytes] = []
    while len(lines) < len(documents):
        line = file.readline()
        if not line.endswith(b"\n"):  # the end of the file, or a line that was cut
            break
        lines.append(line)
    if is_done(lines, request, read_ids):
        return True
    wanted = {document.id for document in documents}
    ids = [read_ids(line.decode()) for line in lines]
    if file.read(1) or any(i != query.id or j not in wanted for i, j in ids):
        raise ValueError(f"the lines after byte {start} are not the ranking of query '{query.id}'")
    file.seek(start)
    return False
