"""Rerank a first-stage run query by query, so that a kill loses at most the queries in hand.

Each query's complete ranking is written and flushed before the next is scored. Beside the output
stands OUTPUT.resume.json with what the scores depend on, until the last query is written. A resumed
run cuts an unfinished last query off and goes on; it refuses to go on with other settings. Modules
score one query at a time, so a resumed run forms the same batches as an uninterrupted one and ends
with the same bytes. A language model may have several queries in hand (`at_once`).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from polyrank.collections.files import refuse_over
from polyrank.collections.records import Collection, Run
from polyrank.collections.run_lines import LineFormat, line_format
from polyrank.collections.trec import read_run
from polyrank.errors import UsageError
from polyrank.locks import locked
from polyrank.notes import Notes
from polyrank.progress import bar
from polyrank.rerankers.base import Ranking, Request, Reranker, Scorer, as_reranker
from polyrank.rerankers.interpolated import Interpolated
from polyrank.runs.candidates import Missing, Survey, rankings_of, streamed_requests, survey_of
from polyrank.runs.resume import (
    Job,
    check_resumable,
    check_resume,
    check_start,
    collection_hash,
    read_done,
    sidecar,
    until_finished,
)


@dataclass(frozen=True)
class Summary:
    """What a reranking did."""

    queries: int  # rankings in the output
    candidates: int  # lines in the output
    resumed: int  # rankings that an earlier, interrupted run had left complete
    skipped: int  # candidates left out because the collection lacks them (missing="skip")
    without_candidates: tuple[str, ...]  # queries of the collection that got no ranking
    notes: Notes = field(default_factory=Notes)  # what the reranker assumed, cut or repaired

    def __str__(self) -> str:
        parts = [f"{self.candidates} candidates of {self.queries} queries"]
        if self.resumed:
            parts.append(f"{self.resumed} queries were already there")
        if self.skipped:
            parts.append(f"{self.skipped} candidates are not in the collection and were skipped")
        if self.without_candidates:
            some = ", ".join(self.without_candidates[:3])
            more = ", ..." if len(self.without_candidates) > 3 else ""
            parts.append(f"{len(self.without_candidates)} queries have no candidates: {some}{more}")
        return "; ".join(parts)


def rerank_stream(
    reranker: Reranker | Scorer,
    collection: Collection,
    run: str | Path | Run,
    output: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    missing: Missing = "error",
    depth: int | None = None,
    limit: int | None = None,
    exclude_self: bool = False,
    tag: str = "polyrank",
    as_json: bool = False,
    progress: bool = True,
    interpolate: float | None = None,
    normalise: str = "min-max",
) -> Summary:
    """Rerank a first-stage run and write the result as it comes.

    Every candidate of the first stage stands in the output exactly once.

    Args:
        reranker: a reranker, or anything with `score(pairs)`.
        collection: the texts of the run's queries and documents.
        run: a TREC or JSON-lines file, read query by query, or a run in memory.
        output: where to write, TREC, or JSON lines for a name in .jsonl; "-" for stdout.
        settings: what the scores depend on; `resume` refuses to go on when they differ.
        resume: go on where an interrupted call with the same output stopped.
        missing: for candidates that are not in the collection: "error", or "skip" and count.
        depth: take only the first so many candidates of each query.
        limit: take only the first so many queries of the run.
        exclude_self: leave out a candidate whose id is its query's.
        tag: the last column of a TREC run.
        as_json: JSON lines whatever the name of the output.
        progress: show a bar on stderr when it is a terminal.
        interpolate: write (1 − w) · first stage + w · scorer with this w, each normalised over a
            query's candidates by `normalise`: 'min-max' or 'z-score'.

    Returns:
        What was written, skipped, and left without candidates.

    Raises:
        DataError: for a malformed run, or a candidate that is missing.
        UsageError: when the output cannot be resumed, would overwrite unfinished work, or another
            process writes it.
        Interrupted: on Ctrl-C, with how to go on.
    """
    layout = line_format(output, as_json)
    check_resumable(Path(output), resume)
    if isinstance(run, str | Path):
        refuse_over(output, run)
        if Path(run).exists() and not Path(run).is_file():  # a pipe, which is read once
            run = read_run(run)
    reranker = as_reranker(reranker)
    if interpolate is not None:
        reranker = Interpolated(reranker, interpolate, normalise)
    with_scores = getattr(reranker, "reads_first_stage", False)
    survey = survey_of(
        collection, run, missing, depth, limit, layout, tag, with_scores, exclude_self
    )
    rankings = rankings_of(run, depth, limit, exclude_self)
    found = streamed_requests(collection, rankings, missing, run)
    requests = (request for request in found if request.documents)
    form = _Form(layout, tag)
    if str(output) == "-":
        with bar("reranking", survey.queries, progress) as drawn:
            written = form.write(reranker.rank_all(requests), sys.stdout, drawn.advance)
        return _summary(survey, written, 0, 0)

    used = {
        **(settings or {}),
        "tag": tag,
        "missing": missing,
        "depth": depth,
        "limit": limit,
        **({"exclude self": True} if exclude_self else {}),
        "interpolate": None if interpolate is None else [interpolate, normalise],
    }
    job = Job(used, survey.candidates, collection_hash(collection))
    with locked(output):
        if resume:
            check_resume(Path(output), job)
        else:
            check_start(Path(output))
        return _to_file(reranker, requests, Path(output), form, job, survey, resume, progress)


def _to_file(
    reranker: Reranker,
    requests: Iterator[Request],
    path: Path,
    form: _Form,
    job: Job,
    survey: Survey,
    resume: bool,
    progress: bool,
) -> Summary:
    """Write each ranking as it comes, after those that an interrupted run left."""
    done, lines_done, rest = _continue(path, requests, form.layout) if resume else (0, 0, requests)
    with until_finished(path), bar("reranking", survey.queries, progress) as drawn:
        drawn.advance(done)
        rankings = reranker.rank_all(rest)
        # What fails at the first query leaves an older output alone, and nothing to resume.
        first = list(itertools.islice(rankings, 1))
        job.write(path)
        with open(path, "a" if resume else "w", encoding="utf-8", newline="\n") as file:
            written = form.write(itertools.chain(first, rankings), file, drawn.advance)
    return _summary(survey, written, lines_done, done)


def _summary(survey: Survey, written: _Written, lines_before: int, resumed: int) -> Summary:
    return Summary(
        queries=survey.queries,
        candidates=lines_before + written.lines,
        resumed=resumed,
        skipped=survey.skipped,
        without_candidates=survey.without_candidates,
        notes=written.notes,
    )


@dataclass
class _Written:
    """What a loop of writing did."""

    lines: int = 0
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True)
class _Form:
    """How a ranking is written."""

    layout: LineFormat
    tag: str

    def write(
        self, rankings: Iterable[Ranking], file: IO[str], advance: Callable[[], None]
    ) -> _Written:
        """Write one query after the other, each flushed."""
        written = _Written()
        for ranking in rankings:
            lines = (
                self.layout.write(hit, rank, self.tag, ranking.details.get(hit.document_id))
                for rank, hit in enumerate(ranking.hits, start=1)
            )
            file.write("".join(lines))
            file.flush()
            written.lines += len(ranking.hits)
            written.notes += ranking.notes
            advance()
        return written


def _continue(
    path: Path, requests: Iterator[Request], layout: LineFormat
) -> tuple[int, int, Iterator[Request]]:
    """Cut an unfinished last ranking off; the queries and lines done, and the requests left."""
    if not path.exists():
        return 0, 0, requests
    done = lines = 0
    with open(path, "r+b") as file:
        try:
            for request in requests:
                if not read_done(file, request, layout.read_ids):
                    file.truncate()
                    return done, lines, itertools.chain([request], requests)
                done, lines = done + 1, lines + len(request.documents)
            if file.read(1):
                raise ValueError("more lines follow the last query of the run")
        except (ValueError, LookupError) as error:
            raise UsageError(
                f"{path} cannot be resumed: {error}.\nStart anew after:  rm {path} {sidecar(path)}"
            ) from None
    return done, lines, iter(())
