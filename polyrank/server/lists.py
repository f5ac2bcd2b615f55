"""One list on its way through the queue: what is scored of it, and what its scores become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from polyrank.collections.records import Document, Query
from polyrank.notes import Notebook, Notes
from polyrank.rerankers.base import Ranking, Request, best_first
from polyrank.server.models import Pair, Piece, Relevance, Served
from polyrank.server.problems import Problem
from polyrank.server.work import Scored

WITHIN = 3  # tokens that a piece which begins within a word may have more by itself


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

    `prepare` and `whole` are for the queue's thread, the only one that may use the model's
    tokenizer.

    Attributes:
        query_guessed: whether its language was identified. guessed: documents whose was.
        before: characters of each document's `full_text` that are not of its text: the title.
        pieces: of each document, where it is split.
        cut: document → what it is longer than, so that it is not read to its end.
        query_read: tokens of the query that are read; None for all.
        tokens: that the model reads.
        notes: what is assumed of the languages.
        best: document → the passage that counts.
    """

    served: Served
    query: Query
    documents: tuple[Document, ...]
    reading: Reading
    query_guessed: bool = False
    guessed: frozenset[int] = frozenset()
    before: list[int] = field(init=False)
    pieces: list[list[Piece]] = field(default_factory=list)
    cut: dict[int, str] = field(default_factory=dict)
    query_read: int | None = None
    tokens: int = 0
    notes: Notes = field(default_factory=Notes)
    scale: Relevance = lambda score, _: score
    best: dict[int, Piece] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = [len(d.full_text) - len(d.text) for d in self.documents]

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
            LanguageError, CompositionError: a language that the model does not take.
        """
        served = self.served
        asked = served.query_tokens(self.query)
        room = served.room(asked)
        if self.reading.tokens is not None:
            self._shorten(self.reading.tokens)
        doubted = self._without_vain_guesses()
        self.scale = served.relevance(self.query)
        pairs = [(self.query, document) for document in self.documents]
        self.notes = doubted + served.assumed(pairs)
        split = self.reading.split and room is not None
        pairs, held = self._split(room) if split and room is not None else self._whole(room)
        read = served.query_read(asked, max(held, default=0))
        self.query_read = read if read < asked else None
        self._refuse_long()
        lengths = [max(1, read + count) for count in held]
        self.tokens = sum(lengths)
        return pairs, lengths

    def _without_vain_guesses(self) -> Notes:
        """Let texts go without a module whose language is a guess that would stop the model."""
        vain = Notebook()

        def believed(language: str | None, guessed: bool) -> str | None:
            if not guessed or not self.served.lacks(language):
                return language
            vain.add(
                "unidentified",
                f"identified as '{language}', for which there is no language module: none used; "
                "name the language where you know it",
            )
            return None

        self.query = replace(self.query, language=believed(self.query.language, self.query_guessed))
        self.documents = tuple(
            replace(document, language=believed(document.language, place in self.guessed))
            for place, document in enumerate(self.documents)
        )
        return vain.notes

    def _shorten(self, tokens: int) -> None:
        """Cut every document to so many tokens."""
        shorter = []
        for place, (document, before) in enumerate(zip(self.documents, self.before, strict=True)):
            offsets, more = self.served.beginning(document.full_text, tokens)
            if more:
                end = offsets[-1][1]
                text, title = document.full_text[before:end], document.title
                if end <= before:  # it ends within the title
                    text, title = document.full_text[:end], ""
                document = replace(document, text=text, title=title)
                self.cut[place] = f"max_tokens_per_doc={tokens}"
            shorter.append(document)
        self.documents = tuple(shorter)

    def _whole(self, room: int | None) -> tuple[list[Pair], list[int]]:
        """Each document from its beginning, and how many tokens are read of it."""
        counts = self.served.counts_to([d.full_text for d in self.documents], room)
        for place, count in enumerate(counts):
            if room is not None and count > room:
                self.cut[place] = f"the {room} tokens that are read beside this query"
        held = counts if room is None else [min(count, room) for count in counts]
        return [(self.query, document) for document in self.documents], held

    def _split(self, room: int) -> tuple[list[Pair], list[int]]:
        """Each document's passages, and their tokens."""
        pairs, held = [], []
        most = self.reading.most
        for place, document in enumerate(self.documents):
            pieces, left_out = self.served.pieces(document.full_text, max(1, room - WITHIN), most)
            self.pieces.append(pieces)
            if left_out:
                self.cut[place] = f"the passages that are read of it, {most} at most"
            whole = len(pieces) == 1 and not left_out
            for piece in pieces:
                pairs.append((self.query, document if whole else part_of(document, piece)))
                held.append(piece.tokens)
        return pairs, held

    def _refuse_long(self) -> None:
        if not self.reading.refuse:
            return
        otherwise = "cut it, or leave out truncate=false"
        if self.query_read is not None:
            told = f"the query is longer than the {self.query_read} tokens that are read of it"
            raise Problem(422, f"{told}; {otherwise}", "query", "too_long")
        for place, limit in sorted(self.cut.items()):
            told = f"document {place} is longer than {limit}"
            raise Problem(422, f"{told}; {otherwise}", "documents", "too_long")

    def finished(self, found: Scored) -> Ranking:
        """The ranking of these scores of the pairs; of passages the best counts, the first of
        equal ones.

        Raises:
            Problem: the model cut a text that is not to be cut.
        """
        scores = self._best_of(found.scores) if self.pieces else found.scores
        notes = sum(found.notes.values(), self.notes)
        return self._checked(best_first(Request(self.query, self.documents), scores, notes=notes))

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

    def _checked(self, ranking: Ranking) -> Ranking:
        """A ranking, of whose texts the model itself may have cut some."""
        if self.reading.refuse and (cut := ranking.notes.of_kind("cut")):
            told = f"{cut.lines()[0]}; shorten the texts, or leave out truncate=false"
            raise Problem(422, told, "documents", "too_long")
        return ranking

    def relevance(self, index: int, score: float) -> float:
        """A document's raw score brought into 0 to 1."""
        return self.scale(score, self.documents[index].language)

    def whole(self) -> Ranking:
        """The ranking by a model that sees the list as one."""
        self.reading = replace(self.reading, split=False)
        self.prepare()
        ranking = self._checked(self.served.rank(Request(self.query, self.documents)))
        return replace(ranking, notes=self.notes + ranking.notes)


def part_of(document: Document, piece: Piece) -> Document:
    """A piece of a document's `full_text` as a document."""
    return replace(document, text=document.full_text[piece.start : piece.end], title="")


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

    def finished(self, found: Scored) -> list[Ranking]:
        """The ranking of each."""
        rankings, place = [], 0
        for listed, size in zip(self.lists, self.sizes, strict=True):
            rankings.append(listed.finished(found.part(place, place + size)))
            place += size
        return rankings

    def whole(self) -> list[Ranking]:
        """The ranking of each, by a model that sees a list as one."""
        return [listed.whole() for listed in self.lists]


def about(text: str) -> int:
    """Roughly how many tokens a text has."""
    return 1 + len(text.encode()) // 4
