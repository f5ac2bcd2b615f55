"""The queue, and the one thread that runs models.

A request becomes a job. Jobs of pairs are divisible: at every step the thread takes pairs of all
waiting jobs of one model, up to a budget of tokens, and scores them together. Half of the budget
goes to the job that has waited longest, the rest to the others in turn, so that a small request is
not held up by a large one, nor a large one for ever by small ones. Jobs that are calls, such as a
whole list for a listwise reranker or a search, are run one at a time in their turn.

Between two steps, jobs that nobody waits for any more are dropped. Pairs that fail together are
tried again job by job, so that a request's fault is its own.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from polyrank.collections.records import Document, Query
from polyrank.notes import Notes

Pair = tuple[Query, Document]


class Closed(Exception):
    """The queue takes no more jobs."""


class Busy(Exception):
    """Too many tokens wait.

    Attributes:
        seconds: after which there should be room.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"try again after {seconds} seconds")
        self.seconds = seconds


@dataclass(frozen=True)
class Scored:
    """Scores of pairs, in order, and by the places of pairs what a model noted."""

    scores: list[float]
    notes: Mapping[int, Notes] = field(default_factory=dict)

    def part(self, start: int, end: int) -> Scored:
        """That of some pairs."""
        notes = {place - start: own for place, own in self.notes.items() if start <= place < end}
        return Scored(self.scores[start:end], notes)


class Model(Protocol):
    """What the thread needs of a model."""

    def score(self, pairs: Sequence[Pair]) -> Scored: ...


@dataclass(eq=False)
class Job:
    """What a request wants of the thread.

    tokens: about how many it takes. owner: whose it is, for bounds. dropped: nobody waits.
    """

    tokens: int
    owner: str = ""
    future: Future[Any] = field(default_factory=Future)
    dropped: bool = False
    since: float = field(default_factory=time.monotonic)

    def drop(self) -> None:
        """Let the thread forget it, before its next step."""
        self.dropped = True
        self.future.cancel()

    def finish(self, result: Any) -> None:
        with suppress(InvalidStateError):  # nobody waits any more
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


@dataclass(eq=False)
class Call(Job):
    """A job that is run whole."""

    function: Callable[[], Any] = lambda: None


@dataclass(eq=False)
class Pairs(Job):
    """A job of pairs to score; its result is `Scored`.

    prepare: gives the pairs and the tokens of each, in the thread, when the job's turn comes.
    left: pairs that are not scored; before that turn as many as are expected.
    """

    model: Model | None = None
    prepare: Callable[[], tuple[list[Pair], list[int]]] = lambda: ([], [])
    pairs: list[Pair] | None = None
    lengths: list[int] = field(default_factory=list)
    todo: list[int] = field(default_factory=list)  # places, the longest pair last
    scores: list[float] = field(default_factory=list)
    notes: dict[int, Notes] = field(default_factory=dict)
    left: int = 0

    def open(self) -> None:
        """Make the pairs, once."""
        if self.pairs is None:
            self.pairs, self.lengths = self.prepare()
            self.todo = sorted(range(len(self.pairs)), key=lambda place: self.lengths[place])
            self.scores, self.left = [0.0] * len(self.pairs), len(self.pairs)

    def take(self, tokens: int) -> list[int]:
        """The longest pairs that are left, at least one, of about so many tokens."""
        taken: list[int] = []
        used = 0
        while self.todo and (not taken or used + self.lengths[self.todo[-1]] <= tokens):
            place = self.todo.pop()
            used += self.lengths[place]
            taken.append(place)
        return taken


Part = tuple[Pairs, list[int]]


class WorkQueue:
    """Jobs of all connections, and the thread that works them off.

    Args:
        step_tokens: in one step.
        bound: tokens that may wait; a job is always taken when nothing does.
        owner_bound: tokens that one owner may have waiting; None for no bound.
        told: is called after each step with its pairs and tokens and its seconds.
    """

    def __init__(
        self,
        step_tokens: int,
        bound: int,
        owner_bound: int | None = None,
        told: Callable[[int, int, float], None] = lambda pairs, tokens, seconds: None,
    ) -> None:
        self.step_tokens, self.bound, self.owner_bound = step_tokens, bound, owner_bound
        self._told = told
        self._jobs: deque[Job] = deque()
        self._owned: Counter[str] = Counter()  # tokens by owner, of jobs that are not finished
        self._held: dict[Job, int] = {}  # tokens that each job is counted with
        self._change = threading.Condition()
        self._closing = False
        self._rate = 0.0  # tokens a second, lately
        self.dropped = 0  # pairs
        self._thread = threading.Thread(target=self._run, name="polyrank-model", daemon=True)

    # --------------------------------------------------------------------------------- outside

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread works, and takes jobs."""
        return self._thread.is_alive() and not self._closing

    @property
    def tokens(self) -> int:
        """Tokens of jobs that are not finished."""
        return sum(self._held.copy().values())

    @property
    def waiting(self) -> int:
        """Jobs that are not finished."""
        return len(self._held)

    def submit(self, job: Job, bounded: bool = True) -> None:
        """Take a job.

        Args:
            bounded: False for what a request needs beside a job of its own that was taken before.

        Raises:
            Busy: too many tokens wait already.
            Closed: the server is shutting down.
        """
        with self._change:
            if self._closing or not self._thread.is_alive():
                raise Closed
            if bounded:
                self._check_room(job)
            self._hold(job, job.tokens)
            self._jobs.append(job)
            self._change.notify()

    def _check_room(self, job: Job) -> None:
        """Refuse a job that would make too many tokens wait."""
        held, owned = sum(self._held.values()), self._owned[job.owner]
        if held and held + job.tokens > self.bound:
            raise Busy(self._wait_for(held + job.tokens - self.bound))
        if self.owner_bound is not None and owned and owned + job.tokens > self.owner_bound:
            raise Busy(self._wait_for(owned + job.tokens - self.owner_bound))

    def close(self, seconds: float | None = None) -> None:
        """Take no more jobs, finish those there are, and stop."""
        with self._change:
            self._closing = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _wait_for(self, tokens: int) -> int:
        """Seconds until so many tokens are worked off."""
        return min(120, max(1, math.ceil(tokens / self._rate))) if self._rate else 1

    # ---------------------------------------------------------------------------------- inside

    def _hold(self, job: Job, tokens: int) -> None:
        """Count a job with so many tokens; with 0 it is over."""
        with self._change:
            self._owned[job.owner] += tokens - self._held.get(job, 0)
            if tokens:
                self._held[job] = tokens
                return
            self._held.pop(job, None)
            if not self._owned[job.owner]:
                del self._owned[job.owner]

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._jobs and not self._closing:
                    self._change.wait()
                self._forget_dropped()
                jobs = list(self._jobs)
                if not jobs and self._closing:
                    return
            if not jobs:
                continue
            if isinstance(jobs[0], Call):
                self._call(jobs[0])
            else:
                self._score(self._parts([job for job in jobs if isinstance(job, Pairs)]))

    def _forget_dropped(self) -> None:
        for job in [job for job in self._jobs if job.dropped]:
            self._jobs.remove(job)
            self._hold(job, 0)
            self.dropped += job.left if isinstance(job, Pairs) else 0

    def _parts(self, jobs: list[Pairs]) -> list[Part]:
        """Which pairs to score now; jobs that have more go to the end of the line."""
        alike = [job for job in jobs if job.model is jobs[0].model]
        parts: list[Part] = []
        budget = self.step_tokens
        for number, job in enumerate(alike):
            if not self._opened(job):
                continue
            share = budget // 2 if number == 0 else budget // (len(alike) - number)
            taken = job.take(budget if len(alike) == 1 else share)
            parts.append((job, taken))
            budget -= sum(job.lengths[place] for place in taken)
            if budget <= 0:
                break
        with self._change:
            for job, _ in parts:
                self._jobs.remove(job)
                if job.todo:
                    self._jobs.append(job)
        return parts

    def _opened(self, job: Pairs) -> bool:
        """Whether a job has pairs; one that has none, or whose pairs cannot be made, is over."""
        try:
            job.open()
        except Exception as error:
            self._end(job, error)
            return False
        if not job.todo:
            self._end(job)
            return False
        self._hold(job, max(1, sum(job.lengths[place] for place in job.todo)))
        return True

    def _end(self, job: Pairs, error: Exception | None = None) -> None:
        with self._change:
            if job in self._jobs:
                self._jobs.remove(job)
            self._hold(job, 0)
        if error is None:
            job.finish(Scored(job.scores, job.notes))
        else:
            job.fail(error)

    def _call(self, job: Call) -> None:
        with self._change:
            self._jobs.remove(job)
        begun = time.monotonic()
        try:
            result = job.function()
        except Exception as error:
            job.fail(error)
        else:
            job.finish(result)
        self._hold(job, 0)
        self._told(0, job.tokens, time.monotonic() - begun)

    def _score(self, parts: list[Part]) -> None:
        if not parts:
            return
        begun = time.monotonic()
        try:
            self._fill(parts)
        except Exception as error:
            if len(parts) == 1:
                self._end(parts[0][0], error)
            else:
                self._one_by_one(parts)
        pairs = sum(len(places) for _, places in parts)
        tokens = sum(job.lengths[place] for job, places in parts for place in places)
        seconds = time.monotonic() - begun
        rate = tokens / max(seconds, 1e-6)
        self._rate = rate if not self._rate else 0.8 * self._rate + 0.2 * rate
        for job, _ in parts:
            if not job.left:
                self._end(job)
            elif job in self._held:  # not failed
                self._hold(job, max(1, sum(job.lengths[place] for place in job.todo)))
        self._told(pairs, tokens, seconds)

    def _one_by_one(self, parts: list[Part]) -> None:
        """Each job's pairs alone, so that only those at fault fail."""
        for part in parts:
            try:
                self._fill([part])
            except Exception as error:
                self._end(part[0], error)

    def _fill(self, parts: list[Part]) -> None:
        model = parts[0][0].model
        pairs = [job.pairs[place] for job, places in parts for place in places]  # type: ignore[index]
        found = model.score(pairs)  # type: ignore[union-attr]
        begin = 0
        for job, places in parts:
            own = found.part(begin, begin + len(places))
            for number, place in enumerate(places):
                job.scores[place] = own.scores[number]
            job.notes |= {places[number]: notes for number, notes in own.notes.items()}
            job.left -= len(places)
            begin += len(places)
