"""Reads training text: plain lines and sentence pairs, gzipped or not; what is held out of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polyrank.collections.files import numbered_lines, open_text
from polyrank.corpus.sources import refuse_json
from polyrank.errors import DataError

Pairs = dict[str, list[tuple[str, str]]]
HELD_OUT = 0.02  # of the lines, at most 300


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file that are not blank.

    Raises:
        DataError: when there is none, the file cannot be read as UTF-8, or it holds JSON lines.
    """
    lines = [line.strip() for line in open_text(path)]
    refuse_json(path, 1, lines[0])
    return lines


def held_out(lines: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Some lines to measure on, and the others to learn from, both in the order of the file."""
    count = min(300, max(1, round(HELD_OUT * len(lines))))
    order = np.random.default_rng(seed).permutation(len(lines))
    held, seen = ([lines[i] for i in sorted(part)] for part in (order[:count], order[count:]))
    return held, seen


def read_pairs(path: str | Path) -> Pairs:
    """`language <tab> text <tab> English` per line, as {language: [(text, English)]}.

    Raises:
        DataError: on a line without three columns, with its number.
    """
    pairs: Pairs = {}
    for number, line in numbered_lines(path):
        columns = line.split("\t")
        if len(columns) != 3 or not all(map(str.strip, columns)):
            raise DataError(
                path,
                number,
                "expected language, text and English with tabs between, "
                f"found {len(columns)} columns",
            )
        pairs.setdefault(columns[0], []).append((columns[1].strip(), columns[2].strip()))
    return pairs
