"""The lines of a file with all that the rules look at, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from polyrank.corpus.foreign import Foreigners
from polyrank.corpus.lengths import Bounds, fences, lengths
from polyrank.corpus.piece_counter import PieceCounter, Pieces
from polyrank.corpus.rules import Measured, Thresholds
from polyrank.corpus.shingles import shingles
from polyrank.corpus.sources import Line, TextSource, blocks, lines
from polyrank.progress import bar


class LineBlock(NamedTuple):
    """Some lines of a file in order: those with text, and the numbers of the blank ones."""

    lines: list[Measured]
    blank: list[int]


def measured_blocks(
    source: TextSource, pieces: PieceCounter | None, foreign: Foreigners | None, progress: bool
) -> Iterator[LineBlock]:
    """The file's blocks; without a counter or a finder of foreign lines these measures are left.

    Raises:
        DataError: the file cannot be read as plain text.
    """
    with (
        bar(f"reading {source.path.name}", show=progress) as drawn,
        ThreadPoolExecutor(1) as beside,
    ):
        for block in blocks(lines(source.path)):
            full = [line for line in block if line.text]
            blank = [line.number for line in block if not line.text]
            yield LineBlock(_measure(full, pieces, foreign, beside), blank)
            drawn.advance(len(block))


def _measure(
    block: Sequence[Line],
    pieces: PieceCounter | None,
    foreign: Foreigners | None,
    beside: ThreadPoolExecutor,
) -> list[Measured]:
    texts = [line.text for line in block]
    counting = beside.submit(pieces, texts) if pieces else None  # tokenizers leave Python's lock
    found = foreign(texts) if foreign else [None] * len(texts)
    compared = [shingles(text) for text in texts]
    counts = counting.result() if counting else [Pieces(0, 0)] * len(texts)
    return [
        Measured(number, text, *count, other, its)
        for (number, text), count, other, its in zip(block, counts, found, compared, strict=True)
    ]


def bounds_of(source: TextSource, limits: Thresholds, skip: Sequence[str]) -> Bounds:
    """The lengths that lines of a file may have: as given, else by its quartiles.

    Raises:
        DataError: the file cannot be read as plain text.
    """
    if "length" in skip:
        return Bounds()
    shortest, longest = limits.shortest, limits.longest
    if shortest is not None and longest is not None:
        return Bounds(shortest, longest)
    usual = fences(lengths(source.path), limits.reach)
    return Bounds(
        usual.shortest if shortest is None else shortest,
        usual.longest if longest is None else longest,
    )
