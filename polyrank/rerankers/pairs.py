"""What scorers of query–document pairs share: ranking, reranking, batches, languages.

A scorer defines `score`; the rest follows from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, Protocol, TypeVar

import torch

from polyrank.collections.records import Collection, Document, Query, Run, ScoredDocument
from polyrank.collections.texts import as_documents, as_queries
from polyrank.encoders.masked import Masks
from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.progress import track
from polyrank.rerankers.scoring import rerank_query

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

R = TypeVar("R", bound=Hashable)
T = TypeVar("T")


class Retriever(Protocol):
    """A first stage: anything that finds candidates for queries."""

    def search(self, queries: Any, depth: int = 100) -> Run: ...


class PairScorer:
    """Ranks by `score(pairs)`; `notes` counts what was assumed or cut."""

    notes: Counter[str]
    batch_tokens: int

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Raw scores of pairs, higher is better, in the order given."""
        raise NotImplementedError

    def rank(
        self,
        query: str | Query,
        passages: Sequence[str | Document],
        query_language: str | None = None,
        document_language: str | None = None,
    ) -> list[ScoredDocument]:
        """Order passages for one query, best first; every passage comes back once.

        Args:
            query: the text, or a record with its language.
            passages: texts (their ids are their positions, "0", "1", ...) or records.
            query_language, document_language: for texts and for records without a language.

        Raises:
            UsageError: two passages with one id.
        """
        (question,) = as_queries([query], query_language)
        documents = as_documents(passages, document_language)
        if len({document.id for document in documents}) != len(documents):
            raise UsageError("two passages have the same id; every id must be there once")
        return rerank_query(self, question, documents)

    def rerank(
        self,
        collection: Collection,
        first_stage: Run | Retriever,
        depth: int = 100,
        progress: bool = True,
    ) -> Run:
        """Rerank the first `depth` candidates of every query of a collection.

        Args:
            collection: the texts.
            first_stage: a run, or a retriever to make one with.

        Returns:
            Query id → every candidate once, best first; ties by document id.

        Raises:
            UsageError: a candidate that the collection lacks.
        """
        found = (
            first_stage
            if isinstance(first_stage, dict)
            else first_stage.search(collection.queries.values(), depth)
        )
        run: Run = {}
        for query_id, hits in track(found.items(), "reranking", len(found), show=progress):
            try:
                query = collection.queries[query_id]
                documents = [collection.documents[hit.document_id] for hit in hits[:depth]]
            except KeyError as error:
                raise UsageError(
                    f"the first stage names {error}, which the collection '{collection.name}' "
                    "lacks; give the collection that the run was made for"
                ) from error
            run[query_id] = rerank_query(self, query, documents)
        return run

    def in_batches(
        self,
        rows: Sequence[R],
        length: Callable[[R], int],
        forward: Callable[[Sequence[R]], Sequence[T]],
    ) -> list[T]:
        """A result for each row, in the order given; equal rows are computed once.

        Rows are sorted by length and batched under `batch_tokens`; when memory runs out the budget
        is halved, down to one row.
        """
        todo = sorted(dict.fromkeys(rows), key=lambda row: -length(row))
        results: dict[R, T] = {}
        place = 0
        while place < len(todo):
            longest = length(todo[place])
            batch = todo[place : place + max(1, self.batch_tokens // longest)]
            try:
                found = forward(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                torch.cuda.empty_cache()
                self.batch_tokens = max(1, len(batch) // 2) * longest
                self.notes[
                    f"memory ran out: batches of {self.batch_tokens} tokens from here on"
                ] += 1
                continue
            results.update(zip(batch, found, strict=True))
            place += len(batch)
        return [results[row] for row in rows]

    def by_masks(
        self,
        rows: Sequence[R],
        masks: Callable[[R], Masks],
        under: Callable[[Masks], AbstractContextManager[Any]],
        length: Callable[[R], int],
        forward: Callable[[Sequence[R]], Sequence[T]],
    ) -> list[T]:
        """`in_batches` of rows with the same masks together, so that masks are put on once each.

        Args:
            masks: of a row.
            under: puts masks on while their rows are run.
        """
        results: list[Any] = [None] * len(rows)
        order = sorted(range(len(rows)), key=lambda place: masks(rows[place]))
        for shared, places in groupby(order, key=lambda place: masks(rows[place])):
            run = list(places)
            with under(shared):
                found = self.in_batches([rows[place] for place in run], length, forward)
            for place, value in zip(run, found, strict=True):
                results[place] = value
        return results

    def identified(self, records: Sequence[Query] | Sequence[Document]) -> list[str | None]:
        """Each record's language: its own, or the one identified; None where that fails."""
        unknown = list(dict.fromkeys(r.text for r in records if r.language is None))
        found = dict(zip(unknown, tags.identify(unknown), strict=True)) if unknown else {}
        for identified in found.values():  # a text counts once, however many it is paired with
            self.notes[
                f"language identified as '{identified.language}'"
                if identified.language
                else "no language could be identified: no language module for that text"
            ] += 1
        return [
            found[record.text].language
            if record.language is None
            else tags.normalise(record.language)
            for record in records
        ]


def as_dtype(name: str | torch.dtype | None) -> torch.dtype:
    """A dtype by its name; fp32 for None.

    Raises:
        UsageError: a name that is none of `DTYPES`.
    """
    if name is None:
        return torch.float32
    if isinstance(name, torch.dtype):
        return name
    if name not in DTYPES:
        raise UsageError(f"unknown dtype '{name}'; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def shortened(text: str, tokenizer: Any, tokens: int) -> str:
    """A text that is far too long, cut well beyond the tokens of it that can be read.

    The tokenizer keeps what it cuts from a pair, every part of one text with every part of the
    other: for two long texts that is quadratic, and takes gigabytes.

    Args:
        text: as it is.
        tokenizer: a fast tokenizer.
        tokens: how many tokens of a pair are read.

    Returns:
        The text itself unless it has more characters than 8 a token; then its first 2 * tokens
        tokens, so that the tokens that are read are those of the whole text.
    """
    if len(text) <= 8 * tokens:
        return text
    encoding = tokenizer(
        text, add_special_tokens=False, truncation=True, max_length=2 * tokens, verbose=False
    ).encodings[0]
    return text[: encoding.offsets[-1][1]] if encoding.overflowing else text
