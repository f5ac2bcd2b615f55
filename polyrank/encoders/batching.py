"""Rows in batches under a token budget, longest first; the budget shrinks when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, TypeVar

import torch

from polyrank.encoders.masked import Masks
from polyrank.notes import Notebook

R = TypeVar("R", bound=Hashable)
T = TypeVar("T")


def usual_tokens(device: torch.device) -> int:
    """Tokens of a batch that are fastest: on a CPU what its caches hold."""
    return 1024 if device.type == "cpu" else 16384


class Batcher:
    """Runs rows in batches.

    Args:
        tokens: in one batch, padding included.
        notebook: gets a note when memory ran out.
    """

    def __init__(self, tokens: int, notebook: Notebook) -> None:
        self.tokens, self._notebook = tokens, notebook

    def run(
        self,
        rows: Sequence[R],
        length: Callable[[R], int],
        forward: Callable[[Sequence[R]], Sequence[T]],
    ) -> list[T]:
        """A result for each row, in the order given; equal rows are computed once.

        Rows are sorted by length and batched under the budget; when memory runs out the budget is
        halved, down to one row.
        """
        todo = sorted(dict.fromkeys(rows), key=lambda row: -length(row))
        results: dict[R, T] = {}
        place = 0
        while place < len(todo):
            longest = max(1, length(todo[place]))
            batch = todo[place : place + max(1, self.tokens // longest)]
            try:
                values = forward(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                torch.cuda.empty_cache()
                self.tokens = max(1, len(batch) // 2) * longest
                self._notebook.add(
                    "memory", f"memory ran out: batches of {self.tokens} tokens from here on"
                )
                continue
            results.update(zip(batch, values, strict=True))
            place += len(batch)
        return [results[row] for row in rows]

    def run_by_masks(
        self,
        rows: Sequence[R],
        masks: Callable[[R], Masks],
        under: Callable[[Masks], AbstractContextManager[Any]],
        length: Callable[[R], int],
        forward: Callable[[Sequence[R]], Sequence[T]],
    ) -> list[T]:
        """`run` of rows with the same masks together, so that masks are put on once each.

        Args:
            masks: of a row.
            under: puts masks on while their rows are run.
        """
        results: list[Any] = [None] * len(rows)
        order = sorted(range(len(rows)), key=lambda place: masks(rows[place]))
        for shared, places in groupby(order, key=lambda place: masks(rows[place])):
            run = list(places)
            with under(shared):
                values = self.run([rows[place] for place in run], length, forward)
            for place, value in zip(run, values, strict=True):
                results[place] = value
        return results
