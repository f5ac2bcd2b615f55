"""Rerankers that score query–document pairs: a subclass defines `score` and `identity`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polyrank.collections.records import Document, Query
from polyrank.encoders.batching import Batcher
from polyrank.errors import LanguageError
from polyrank.languages import tags
from polyrank.notes import Note, Notebook, Notes
from polyrank.rerankers.base import ListReranker, Loaded, Ranking, Request, best_first

BATCH_TOKENS = 16384


class PairScorer(Loaded, ListReranker):
    """Ranks by `score(pairs)`, each query's candidates on their own.

    Args:
        batch_tokens: tokens in one batch, padding included.
    """

    pointwise = True
    routing = "none"  # which texts pass through the modules of languages
    name = ""  # what it was loaded from, where that is one model

    def __init__(self, batch_tokens: int = BATCH_TOKENS) -> None:
        self._notebook = Notebook()
        self._lacking: dict[str, bool] = {}  # language → whether it has no module
        self._unused: dict[str, Note] = {}  # what is said of languages that were guessed in vain
        self._ranked = False  # whether a ranking has told what was noted before it
        self._batcher = Batcher(batch_tokens, self._notebook)

    @property
    def notes(self) -> Notes:
        """What was assumed or cut so far."""
        return self._notebook.notes

    @property
    def batch_tokens(self) -> int:
        """Tokens in one batch, padding included; less after memory ran out."""
        return self._batcher.tokens

    @batch_tokens.setter
    def batch_tokens(self, tokens: int) -> None:
        self._batcher.tokens = tokens

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Raw scores of pairs, higher is better, in the order given."""
        raise NotImplementedError

    def assumed(self, pairs: Sequence[tuple[Query, Document]]) -> Notes:
        """What `score` would note of the modules of these pairs' languages; nothing is scored and
        none is identified.

        Raises:
            LanguageError, CompositionError: a language that would stop it.
        """
        return Notes()

    def size(self) -> tuple[int, int]:
        """Parameters and bytes of the weights as they are held."""
        raise NotImplementedError

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query by their scores; the first ranking also has the notes of how
        the reranker was made."""
        before, self._ranked = (self.notes if self._ranked else Notes()), True
        scores = self.score(request.pairs)
        return best_first(request, scores, notes=self.notes - before)

    def identified(self, records: Sequence[Query] | Sequence[Document]) -> list[str | None]:
        """Each record's language: its own, or the one identified; None where that fails.

        None, too, for one that was identified and lacks a module: it may be a wrong guess, which
        does not stop a run. That text goes without a module.
        """
        unnamed: dict[str, Query | Document] = {}
        for record in records:
            if record.language is None:
                unnamed.setdefault(record.text, record)
        guesses = tags.identify(unnamed) if unnamed else []
        found = {  # a text counts once, however many it is paired with
            text: self._believed(record, guess)
            for (text, record), guess in zip(unnamed.items(), guesses, strict=True)
        }
        return [
            found[record.text] if record.language is None else tags.normalise(record.language)
            for record in records
        ]

    def check_languages(self, queries: Iterable[Query], documents: Iterable[Document]) -> None:
        """Refuse, before anything is searched or scored, named languages that would stop the run.

        Raises:
            LanguageError: a language without module on a side where the routing takes one, under
                fallback 'error'.
        """
        for side, records in (("query", queries), ("document", documents)):
            if self.routing in (side, "split", "both"):
                for language in dict.fromkeys(r.language for r in records if r.language):
                    self.seek_module(tags.normalise(language))

    def seek_module(self, language: str) -> None:
        """Raise LanguageError for a language that would stop the run."""

    def lacks_module(self, language: str) -> bool:
        """Whether a language would stop a run, for want of a module."""
        if language not in self._lacking:
            try:
                self.seek_module(language)
                self._lacking[language] = False
            except LanguageError:
                self._lacking[language] = True
        return self._lacking[language]

    def _believed(self, record: Query | Document, guess: tags.Identified) -> str | None:
        """The language to take for a record, from what was identified; noted."""
        if guess.language is None:
            self._notebook.add(
                "unidentified", "no language could be identified: no language module for that text"
            )
            return None
        if not self.lacks_module(guess.language):
            self._notebook.add("identified", f"language identified as '{guess.language}'")
            return guess.language
        if guess.language not in self._unused:
            what = "query" if isinstance(record, Query) else "document"
            self._unused[guess.language] = Note(
                "unidentified",
                f"identified as '{guess.language}' with {guess.confidence:.2f}, for which there is "
                f"no language module: none used (the first: {what} '{record.id}'); name the "
                "language where you know it",
            )
        self._notebook.update({self._unused[guess.language]: 1})
        return None
