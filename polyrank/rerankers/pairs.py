"""Rerankers that score query–document pairs: a subclass defines `score` and `identity`."""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.collections.records import Document, Query
from polyrank.encoders.batching import Batcher
from polyrank.languages import tags
from polyrank.notes import Notebook, Notes
from polyrank.rerankers.base import ListReranker, Ranking, Request, best_first

BATCH_TOKENS = 16384


class PairScorer(ListReranker):
    """Ranks by `score(pairs)`, each query's candidates on their own.

    Args:
        batch_tokens: tokens in one batch, padding included.
    """

    pointwise = True
    name = ""  # what it was loaded from, where that is one model

    def __init__(self, batch_tokens: int = BATCH_TOKENS) -> None:
        self._notebook = Notebook()
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
        """Each record's language: its own, or the one identified; None where that fails."""
        unknown = list(dict.fromkeys(r.text for r in records if r.language is None))
        identified = dict(zip(unknown, tags.identify(unknown), strict=True)) if unknown else {}
        for found in identified.values():  # a text counts once, however many it is paired with
            if found.language:
                self._notebook.add("identified", f"language identified as '{found.language}'")
            else:
                self._notebook.add(
                    "unidentified",
                    "no language could be identified: no language module for that text",
                )
        return [
            identified[record.text].language
            if record.language is None
            else tags.normalise(record.language)
            for record in records
        ]
