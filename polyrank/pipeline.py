"""Rerank a first-stage run query by query, so that a kill loses at most the query in hand.

Each query's complete ranking is written and flushed before the next is scored. Beside the output
stands OUTPUT.resume.json with what the scores depend on, until the last query is written. A resumed
run cuts an unfinished last query off and goes on; it refuses to go on with other settings. Queries
are scored one at a time, so a resumed run forms the same batches as an uninterrupted one and ends
with the same bytes.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Protocol, runtime_checkable

from polyrank.collections import jsonl
from polyrank.collections.files import refuse_over
from polyrank.collections.records import Collection, Document, Query, Run, ScoredDocument, ranked
from polyrank.collections.stream import iter_run_by_query
from polyrank.errors import DataError, Interrupted, PolyrankError, UsageError
from polyrank.fusion import interpolate as interpolated
from polyrank.progress import bar
from polyrank.resume import (
    Job,
    Work,
    candidates_hash,
    check_resume,
    check_start,
    collection_hash,
    read_done,
    sidecar,
)

Missing = Literal["error", "skip"]
Ranking = tuple[str, list[ScoredDocument]]  # a query's id and its candidates


class Scorer(Protocol):
    """What scores pairs of texts: higher is better, and the same pairs get the same scores."""

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]: ...


@runtime_checkable
class StreamScorer(Protocol):
    """A scorer that takes many queries at once, and gives their scores in the same order."""

    def score_queries(self, work: Iterable[Work]) -> Iterator[tuple[Work, list[float]]]: ...


@dataclass(frozen=True)
class Summary:
    """What a reranking did."""

    queries: int  # rankings in the output
    candidates: int  # lines in the output
    resumed: int  # rankings that an earlier, interrupted run had left complete
    skipped: int  # candidates left out because the collection lacks them (missing="skip")
    without_candidates: tuple[str, ...]  # queries of the collection that got no ranking

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


# ---------------------------------------------------------------------------------------- ranking


def best_first(
    query: Query, documents: Sequence[Document], scores: Sequence[float]
) -> list[ScoredDocument]:
    """Every document once, best first; ties by document id.

    Scores keep nine digits, which hold any fp32 value, so that the order survives writing.
    """
    if len(scores) != len(documents):
        raise PolyrankError(
            f"query '{query.id}': {len(documents)} candidates but {len(scores)} scores"
        )
    for document, score in zip(documents, scores, strict=True):
        if not math.isfinite(score):
            raise PolyrankError(
                f"query '{query.id}', document '{document.id}': the score is {score}. "
                "Try --dtype float32, or look whether the module was trained to the end."
            )
    return ranked(
        ScoredDocument(query.id, document.id, float(f"{score:.9g}"))
        for document, score in zip(documents, scores, strict=True)
    )


def rerank_query(
    scorer: Scorer, query: Query, documents: Sequence[Document]
) -> list[ScoredDocument]:
    """The candidates of one query in the scorer's order."""
    return best_first(query, documents, scorer.score([(query, document) for document in documents]))


def rerank_queries(
    scorer: Scorer, work: Iterable[Work]
) -> Iterator[tuple[Query, list[ScoredDocument]]]:
    """Each query with its candidates in the scorer's order, one after the other."""
    if isinstance(scorer, StreamScorer):
        for (query, documents), scores in scorer.score_queries(work):
            yield query, best_first(query, documents, scores)
    else:
        for query, documents in work:
            yield query, rerank_query(scorer, query, documents)


@dataclass
class Interpolated:
    """Mixes every ranking with the first stage's of the same query.

    weight, normalise: as of `polyrank.fusion.interpolate`.
    """

    weight: float
    normalise: str

    def __post_init__(self) -> None:
        self._first: Run = {}
        interpolated({}, {}, self.weight, self.normalise)  # refuses now, not after scoring

    def remember(self, rankings: Iterable[Ranking]) -> Iterator[Ranking]:
        """The same rankings of the first stage; each is kept until its query has been scored."""
        for query_id, hits in rankings:
            self._first[query_id] = hits
            yield query_id, hits

    def mix(
        self, scored: Iterable[tuple[Query, list[ScoredDocument]]]
    ) -> Iterator[tuple[Query, list[ScoredDocument]]]:
        """The scored rankings, in the order in which they were remembered, each mixed."""
        for query, hits in scored:
            while next(iter(self._first)) != query.id:  # was not scored: done before, or empty
                del self._first[next(iter(self._first))]
            first = {query.id: self._first.pop(query.id)}
            mixed = interpolated(first, {query.id: hits}, self.weight, self.normalise)
            yield query, mixed[query.id]


# ------------------------------------------------------------------------------- lines of a run


class LineFormat(NamedTuple):
    """How one candidate is written, and its ids read back."""

    write: Callable[[ScoredDocument, int, str], str]
    read_ids: Callable[[str], tuple[str, str]]


def _trec_line(hit: ScoredDocument, rank: int, tag: str) -> str:
    return f"{hit.query_id} Q0 {hit.document_id} {rank} {hit.score:.9g} {tag}\n"


def _trec_ids(line: str) -> tuple[str, str]:
    fields = line.split()
    return fields[0], fields[2]


def _json_line(hit: ScoredDocument, rank: int, tag: str) -> str:
    return jsonl.dump_scored(hit)


def _json_ids(line: str) -> tuple[str, str]:
    row = json.loads(line)
    return row["query_id"], row["document_id"]


TREC = LineFormat(_trec_line, _trec_ids)
JSONL = LineFormat(_json_line, _json_ids)


def line_format(output: Path | str, as_json: bool = False) -> LineFormat:
    """JSON lines for .jsonl and on demand, else TREC."""
    return JSONL if as_json or str(output).endswith(".jsonl") else TREC


# ----------------------------------------------------------------------------- what is to be done


def _rankings(run: str | Path | Run, depth: int | None, limit: int | None) -> Iterator[Ranking]:
    """Query id and candidates, streamed, the first `depth` of the first `limit` queries."""
    stream: Iterable[Ranking]
    stream = iter_run_by_query(run) if isinstance(run, str | Path) else iter(run.items())
    for query_id, hits in itertools.islice(stream, limit):
        yield query_id, hits[:depth]


def _work(
    collection: Collection,
    rankings: Iterable[Ranking],
    missing: Missing,
    source: str | Path | Run,
) -> Iterator[Work]:
    """Each query with those of its candidates that the collection holds."""
    for query_id, hits in rankings:
        document_ids = [hit.document_id for hit in hits]
        query = collection.queries.get(query_id)
        lacking = [i for i in document_ids if i not in collection.documents]
        if missing == "error" and (query is None or lacking):
            raise _missing(collection, source, query_id, None if query is None else lacking[0])
        if query is not None:
            documents = collection.documents
            yield query, [documents[i] for i in document_ids if i in documents]


def _missing(
    collection: Collection, source: str | Path | Run, query_id: str, document_id: str | None
) -> PolyrankError:
    what = f"query '{query_id}'" if document_id is None else f"document '{document_id}'"
    reason = (
        f"{what} is not in the collection '{collection.name}'. Give the collection that the run "
        "was made for, or leave such lines out with --missing skip"
    )
    if not isinstance(source, str | Path):
        return PolyrankError(f"the first-stage run: {reason}")
    return DataError(source, _line_of(source, query_id, document_id), reason)


def _line_of(path: str | Path, query_id: str, document_id: str | None) -> int | None:
    """The number of the line that names the query, or the query and the document."""
    wanted = {query_id, document_id} - {None}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if wanted <= set(line.replace('"', " ").replace(",", " ").split()):
                return number
    return None


class _Survey(NamedTuple):
    """What a first pass over the run finds, before anything is scored."""

    queries: int
    skipped: int
    without_candidates: tuple[str, ...]
    candidates: str  # hash


def _survey(
    collection: Collection,
    run: str | Path | Run,
    missing: Missing,
    depth: int | None,
    limit: int | None,
    layout: LineFormat,
    tag: str,
    scores_count: bool,
) -> _Survey:
    """Read the whole run once, so that a bad line stops the command before hours of scoring."""
    if layout is TREC:
        _one_word(tag)
    asked: dict[str, int] = {}
    total = 0

    def counted() -> Iterator[Ranking]:
        nonlocal total
        for query_id, hits in _rankings(run, depth, limit):
            total += len(hits)
            asked.setdefault(query_id, 0)
            yield query_id, hits

    for query, documents in _work(collection, counted(), missing, run):
        asked[query.id] = len(documents)
        if layout is TREC:
            _one_word(query.id, *(document.id for document in documents))
    ranked_queries = {query_id for query_id, kept in asked.items() if kept}
    wanted = collection.queries if limit is None else asked
    return _Survey(
        queries=len(ranked_queries),
        skipped=total - sum(asked.values()),
        without_candidates=tuple(
            i for i in wanted if i in collection.queries and i not in ranked_queries
        ),
        candidates=candidates_hash(
            (query_id, [(h.document_id, h.score) if scores_count else h.document_id for h in hits])
            for query_id, hits in _rankings(run, depth, limit)
        ),
    )


def _one_word(*words: str) -> None:
    for word in words:
        if not word or any(map(str.isspace, word)):
            raise UsageError(
                f"{word!r} is empty or has whitespace, which a TREC run cannot hold; "
                "write JSON lines instead, with --output NAME.jsonl or --json"
            )


# -------------------------------------------------------------------------------------- the stream


def rerank_stream(
    scorer: Scorer,
    collection: Collection,
    run: str | Path | Run,
    output: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    missing: Missing = "error",
    depth: int | None = None,
    limit: int | None = None,
    tag: str = "polyrank",
    as_json: bool = False,
    progress: bool = True,
    interpolate: float | None = None,
    normalise: str = "min-max",
) -> Summary:
    """Rerank a first-stage run and write the result as it comes.

    Every candidate of the first stage stands in the output exactly once.

    Args:
        scorer: anything with `score(pairs)`, such as a `Reranker`.
        collection: the texts of the run's queries and documents.
        run: a TREC or JSON-lines file, read query by query, or a run in memory.
        output: where to write, TREC, or JSON lines for a name in .jsonl; "-" for stdout.
        settings: what the scores depend on; `resume` refuses to go on when they differ.
        resume: go on where an interrupted call with the same output stopped.
        missing: for candidates that are not in the collection: "error", or "skip" and count.
        depth: take only the first so many candidates of each query.
        limit: take only the first so many queries of the run.
        tag: the last column of a TREC run.
        as_json: JSON lines whatever the name of the output.
        progress: show a bar on stderr when it is a terminal.
        interpolate: write (1 − w) · first stage + w · scorer with this w, each normalised over a
            query's candidates by `normalise`: 'min-max' or 'z-score'.

    Returns:
        What was written, skipped, and left without candidates.

    Raises:
        DataError: for a malformed run, or a candidate that is missing.
        UsageError: when the output cannot be resumed, or would overwrite unfinished work.
        Interrupted: on Ctrl-C, with how to go on.
    """
    layout = line_format(output, as_json)
    if str(output).endswith(".gz"):
        raise UsageError(f"{output}: a compressed run cannot be resumed; write it without .gz")
    if isinstance(run, str | Path):
        refuse_over(output, run)
    mixer = None if interpolate is None else Interpolated(interpolate, normalise)
    survey = _survey(collection, run, missing, depth, limit, layout, tag, mixer is not None)
    rankings = _rankings(run, depth, limit)
    if mixer is not None:
        rankings = mixer.remember(rankings)
    work = (item for item in _work(collection, rankings, missing, run) if item[1])
    if str(output) == "-":
        if resume:
            raise UsageError("--resume needs an --output file; standard output cannot be continued")
        with bar("reranking", survey.queries, progress) as drawn:
            scored = _scored(scorer, work, mixer)
            lines = _write(scored, sys.stdout, layout, tag, drawn.advance)
        return _summary(survey, lines, 0)

    path = Path(output)
    job = Job(
        {
            **(settings or {}),
            "tag": tag,
            "missing": missing,
            "depth": depth,
            "limit": limit,
            "interpolate": mixer and [mixer.weight, mixer.normalise],
        },
        survey.candidates,
        collection_hash(collection),
    )
    if resume:
        check_resume(path, job)
    else:
        check_start(path)
    done, lines_done, rest = _continue(path, work, layout) if resume else (0, 0, work)
    try:
        with bar("reranking", survey.queries, progress) as drawn:
            drawn.advance(done)
            scored = _scored(scorer, rest, mixer)
            # What fails at the first query leaves an older output alone, and nothing to resume.
            first = list(itertools.islice(scored, 1))
            job.write(path)
            with open(path, "a" if resume else "w", encoding="utf-8", newline="\n") as file:
                lines = _write(itertools.chain(first, scored), file, layout, tag, drawn.advance)
    except KeyboardInterrupt:
        if not sidecar(path).exists():
            raise Interrupted("stopped before anything was written") from None
        raise Interrupted(
            f"{path} holds what was done so far; go on with the same command and --resume"
        ) from None
    sidecar(path).unlink()
    return _summary(survey, lines_done + lines, done)


def _summary(survey: _Survey, lines: int, resumed: int) -> Summary:
    return Summary(survey.queries, lines, resumed, survey.skipped, survey.without_candidates)


def _scored(
    scorer: Scorer, work: Iterable[Work], mixer: Interpolated | None
) -> Iterator[tuple[Query, list[ScoredDocument]]]:
    """One query after the other, as it is scored."""
    scored = rerank_queries(scorer, work)
    return iter(mixer.mix(scored) if mixer else scored)


def _write(
    scored: Iterable[tuple[Query, list[ScoredDocument]]],
    file: IO[str],
    layout: LineFormat,
    tag: str,
    advance: Callable[[], None],
) -> int:
    """Write one query after the other; the number of lines written."""
    lines = 0
    for _, hits in scored:
        file.write("".join(layout.write(hit, rank, tag) for rank, hit in enumerate(hits, start=1)))
        file.flush()
        lines += len(hits)
        advance()
    return lines


def _continue(
    path: Path, work: Iterator[Work], layout: LineFormat
) -> tuple[int, int, Iterator[Work]]:
    """Cut an unfinished last ranking off; the queries and lines done, and the work that is left."""
    if not path.exists():
        return 0, 0, work
    done = lines = 0
    with open(path, "r+b") as file:
        try:
            for item in work:
                if not read_done(file, item, layout.read_ids):
                    file.truncate()
                    return done, lines, itertools.chain([item], work)
                done, lines = done + 1, lines + len(item[1])
            if file.read(1):
                raise ValueError("more lines follow the last query of the run")
        except (ValueError, LookupError) as error:
            raise UsageError(
                f"{path} cannot be resumed: {error}.\nStart anew after:  rm {path} {sidecar(path)}"
            ) from None
    return done, lines, iter(())
