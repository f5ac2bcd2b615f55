"""Collects the training lines of the language identifier from a folder of open text."""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from polyrank.collections.files import open_text
from polyrank.languages.tags import normalise

Labelled = Iterator[tuple[str, str]]


def training_text(source: Path, most: int = 20_000, seed: int = 13) -> dict[str, list[str]]:
    """Lines per language, without duplicates, shuffled, at most `most`; regions are folded.

    Reads `mlm/` and `parallel/` only. `ntrex/`, `xquad/` and `eval/` are evaluation and stay out.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for reader in (_tatoeba, _mlm, _by_name, _headed, _pairs, _afriqa, _indian):
        for tag, line in reader(source):
            language = normalise(tag).split("-")[0]
            key = "".join(filter(str.isalpha, line.lower()))
            if key:
                found[language].setdefault(key, unicodedata.normalize("NFC", line))
    text = {}
    for language in sorted(found):
        lines = list(found[language].values())
        random.Random(f"{seed} {language}").shuffle(lines)
        text[language] = lines[:most]
    return text


def _cells(path: Path) -> Iterator[list[str]]:
    return (line.split("\t") for line in open_text(path))


def _tatoeba(source: Path) -> Labelled:
    for cells in _cells(source / "parallel" / "tatoeba_laser_v1.tsv.gz"):
        yield cells[0], cells[1]


def _mlm(source: Path) -> Labelled:
    for path in sorted(source.glob("mlm/*.txt.gz")):
        yield from ((path.name.split(".")[0], line) for line in open_text(path))


def _by_name(source: Path) -> Labelled:
    """TICO-19 and OLDI seed: the language is the file's name, the text its last column."""
    for folder in ("tico19", "oldi_seed"):
        for path in sorted(source.glob(f"parallel/{folder}/*.tsv.gz")):
            yield from ((path.name.split(".")[0], cells[-1]) for cells in _cells(path))


def _headed(source: Path) -> Labelled:
    """HornMT and Mintaka: the header names the languages of the columns."""
    for name in ("hornmt", "mintaka_dev_questions"):
        rows = _cells(source / "parallel" / f"{name}.tsv.gz")
        header = next(rows)
        for cells in rows:
            for tag, text in zip(header, cells, strict=True):
                if tag != "id":
                    yield tag, text


def _pairs(source: Path) -> Labelled:
    """XED and X-WMT: the file's name is the pair."""
    for folder in ("xed", "xwmt"):
        for path in sorted(source.glob(f"parallel/{folder}/*.tsv.gz")):
            tags = path.name.split(".")[0].split("-", 1)
            for cells in _cells(path):
                yield from zip(tags, cells, strict=True)


def _afriqa(source: Path) -> Labelled:
    rows = _cells(source / "parallel" / "afriqa_questions.tsv.gz")
    next(rows)
    yield from ((cells[0], cells[4]) for cells in rows)


def _indian(source: Path) -> Labelled:
    for tag in ("bn", "hi", "ur"):
        for cells in _cells(source / "parallel" / f"indian_parallel.{tag}-en.tsv.gz"):
            yield tag, cells[1]
