"""One list on its way through the queue: what is scored of it, and what its scores become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from polyrank.collections.records import Document, Query
from polyrank.rerankers.base import Ranking, Request, best_first
from polyrank.server.models import Pair, Piece, Relevance, Served
from polyrank.server.problems import Problem


@dataclass(frozen=True)
class Reading:
    """How much of the documents is read.

    split: in passages, of which the best counts, rather than from the beginning as far as it goes.
    most: passages of a document. tokens: of a document at most. refuse: what is too long.
    """

    split: bool = False
    most: int = 32
    tokens: int | None = None
    refuse: bool = False


@dataclass(eq=False)
class Listed:
    """A query with documents of distinct ids, to be ranked by a model.

    `prepare`, `finished` and `whole` are for the queue's thread, the only one that may use the
    model's tokenizer.
    """

    served: Served
    query: Query
    documents: tuple[Document, ...]
    reading: Reading
    pieces: list[list[Piece]] = field(default_factory=list)  # of each document, where it is split
    cut: list[bool] = field(default_factory=list)
    tokens: int = 0  # that the model reads
    scale: Relevance = lambda score, _: score
    best: dict[int, Piece] = field(default_factory=dict)  # document → the passage that counts

    def estimate(self) -> int:
        """About how many tokens this takes, before anything is tokenised."""
        asked, longest = about(self.query.text), self.served.longest or 1 << 30
        if not self.reading.split:
            return sum(min(asked + about(d.full_text), longest) for d in self.documents)
        most = longest * self.reading.most
        return sum(min(2 * (asked + about(d.full_text)), most) for d in self.documents)

    def prepare(self) -> tuple[list[Pair], list[int]]:
        """The pairs to score, and their tokens.

        Raises:
            Problem: a text is too long, and is not to be cut.
        """
        served, reading = self.served, self.reading
        (asked,) = served.counts([self.query.text[: 8 * (served.longest or 1 << 28)]])
        room = served.room(asked)
        if reading.tokens is not None:
            self._shorten(reading.tokens)
        self.scale = served.relevance(self.query)
        if reading.split and room is not None:
            return self._split(asked, room)
        read = 1 << 30 if room is None else 8 * room  # characters, more than which are not counted
        counts = served.counts([d.full_text[:read] for d in self.documents])
        limit = 1 << 30 if room is None else room
        self.cut = [
            count > limit or len(d.full_text) > read
            for count, d in zip(counts, self.documents, strict=True)
        ]
        if reading.refuse and any(self.cut):
            raise Problem(
                422,
                f"document {self.cut.index(True)} is longer than the {limit} tokens that are read "
                "beside this query; cut it, or leave out truncate=false",
                "documents",
                "too_long",
            )
        lengths = [max(1, asked + min(count, limit)) for count in counts]
        self.tokens = sum(lengths)
        return [(self.query, document) for document in self.documents], lengths

    def _shorten(self, tokens: int) -> None:
        """Cut every document to so many tokens."""
        shorter = []
        for document in self.documents:
            offsets = self.served.offsets(document.full_text[: 16 * tokens])
            if len(offsets) > tokens:
                text = document.full_text[: offsets[tokens - 1][1]]
                document = replace(document, text=text, title="")
            shorter.append(document)
        self.documents = tuple(shorter)

    def _split(self, asked: int, room: int) -> tuple[list[Pair], list[int]]:
        pairs, lengths = [], []
        room = max(1, room - 2)  # a piece that begins within a word may have more tokens by itself
        for document in self.documents:
            pieces, left_out = self.served.pieces(document.full_text, room, self.reading.most)
            self.pieces.append(pieces)
            self.cut.append(left_out)
            whole = len(pieces) == 1 and not left_out
            for piece in pieces:
                text = document.full_text[piece.start : piece.end]
                part = document if whole else replace(document, text=text, title="")
                pairs.append((self.query, part))
                lengths.append(max(1, asked + piece.tokens))
        self.tokens = sum(lengths)
        return pairs, lengths

    def finished(self, scores: Sequence[float]) -> Ranking:
        """The ranking of these scores of the pairs; of passages the best counts, the first of
        equal ones."""
        if self.pieces:
            scores = self._best_of(scores)
        return best_first(Request(self.query, self.documents), scores)

    def _best_of(self, scores: Sequence[float]) -> list[float]:
        found, place = [], 0
        for number, pieces in enumerate(self.pieces):
            own = scores[place : place + len(pieces)]
            winner = max(range(len(own)), key=lambda one: own[one])
            if len(pieces) > 1:
                self.best[number] = pieces[winner]
            found.append(own[winner])
            place += len(pieces)
        return found

    def relevance(self, index: int, score: float) -> float:
        """A document's raw score brought into 0 to 1."""
        return self.scale(score, self.documents[index].language)

    def whole(self) -> Ranking:
        """The ranking by a model that sees the list as one."""
        self.reading = replace(self.reading, split=False)
        self.prepare()
        return self.served.rank(Request(self.query, self.documents))


@dataclass(eq=False)
class Together:
    """Lists of one request, in one job."""

    lists: list[Listed]
    sizes: list[int] = field(default_factory=list)  # pairs of each

    def estimate(self) -> int:
        """About how many tokens they take."""
        return sum(listed.estimate() for listed in self.lists)

    def prepare(self) -> tuple[list[Pair], list[int]]:
        """The pairs of all, and their tokens."""
        pairs: list[Pair] = []
        lengths: list[int] = []
        for listed in self.lists:
            own, counted = listed.prepare()
            self.sizes.append(len(own))
            pairs += own
            lengths += counted
        return pairs, lengths

    def finished(self, scores: Sequence[float]) -> list[Ranking]:
        """The ranking of each."""
        found, place = [], 0
        for listed, size in zip(self.lists, self.sizes, strict=True):
            found.append(listed.finished(scores[place : place + size]))
            place += size
        return found

    def whole(self) -> list[Ranking]:
        """The ranking of each, by a model that sees a list as one."""
        return [listed.whole() for listed in self.lists]


def about(text: str) -> int:
    """Roughly how many tokens a text has."""
    return 1 + len(text.encode()) // 4


def warnings_of(listed: Listed, ranking: Ranking) -> list[str]:
    """What a client should know of how its list was read."""
    found = [str(line) for line in ranking.notes.lines()]
    if cut := sum(listed.cut):
        found.append(f"{cut} of {len(listed.documents)} documents were not read to their ends")
    return found


def rows_of(
    listed: Listed, ranking: Ranking, raw: bool, least: float | None = None
) -> list[dict[str, Any]]:
    """The rows of an answer, best first.

    Args:
        least: the score that a row has at least.
    """
    index_of = {document.id: index for index, document in enumerate(listed.documents)}
    rows = [row_of(listed, index_of[hit.document_id], hit.score, raw) for hit in ranking.hits]
    if least is not None:
        rows = [row for row in rows if row["relevance_score"] >= least]
    return sorted(rows, key=lambda row: -row["relevance_score"])  # those of equal scores stay


def row_of(listed: Listed, index: int, score: float, raw: bool) -> dict[str, Any]:
    """A row of an answer."""
    row: dict[str, Any] = {
        "index": index,
        "relevance_score": score if raw else listed.relevance(index, score),
    }
    if listed.cut and listed.cut[index]:
        row["cut"] = True
    if piece := listed.best.get(index):
        row["passage"] = {"start": piece.start, "end": piece.end}
    return row
