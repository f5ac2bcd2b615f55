"""What a plan model learns from: the vectors of an article's units, and its oracle plan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from polyrank.progress import track
from polyrank.summaries.articles import Article
from polyrank.summaries.oracle import Plan, oracle_plan
from polyrank.summaries.unit_vectors import UnitEncoder
from polyrank.summaries.units import units_of
from polyrank.training.loop.steps import Batch


@dataclass(frozen=True, eq=False)
class PlanExample:
    """One article: vectors of its units, (U, H), and the plan to learn."""

    vectors: Tensor
    plan: Plan


def examples_of(
    articles: Sequence[Article], fineness: str, longest: int, encode: UnitEncoder, folder: Path
) -> list[PlanExample]:
    """The examples of all articles of which a unit shares a word with the reference.

    They are kept in the folder, one after the other, so that a resumed run goes on where it was.

    Args:
        folder: of the run; made where it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, article in enumerate(track(articles, "planning against references")):
        path = folder / f"{number}.safetensors"
        if not path.is_file():
            _write(path, article, fineness, longest, encode)
        kept = load_file(path)
        if len(kept["plan"]):
            made.append(PlanExample(kept["vectors"], tuple(kept["plan"].tolist())))
    return made


def _write(path: Path, article: Article, fineness: str, longest: int, encode: UnitEncoder) -> None:
    units = units_of(article.text, article.language, fineness)
    plan = oracle_plan(article, units, longest)
    vectors = encode(article.text, units) if plan else torch.zeros(0, 1)
    partial = path.with_suffix(".partial")
    save_file({"vectors": vectors, "plan": torch.tensor(plan, dtype=torch.int64)}, partial)
    partial.rename(path)


def digest_of(articles: Sequence[Article]) -> str:
    """A short hash of the articles, to tell whether they changed."""
    from hashlib import sha256

    rows = [[a.id, a.text, a.language, a.reference] for a in articles]
    return sha256(json.dumps(rows).encode()).hexdigest()[:16]


class PlanBatches:
    """Batch of step i, by the seed and i alone: examples drawn with replacement."""

    def __init__(self, examples: Sequence[PlanExample], size: int, seed: int) -> None:
        self.examples, self.size, self.seed = examples, size, seed

    def __call__(self, step: int) -> Batch:
        random = np.random.default_rng([self.seed, step])
        chosen = random.integers(len(self.examples), size=self.size)
        return collated([self.examples[place] for place in chosen])


def collated(examples: Sequence[PlanExample]) -> dict[str, Tensor]:
    """Padded: vectors (B, U, H), live (B, U), plans (B, T)."""
    units = max(len(example.vectors) for example in examples)
    longest = max(len(example.plan) for example in examples)
    width = examples[0].vectors.shape[1]
    vectors = torch.zeros(len(examples), units, width)
    live = torch.zeros(len(examples), units, dtype=torch.bool)
    plans = torch.full((len(examples), longest), -1)
    for row, example in enumerate(examples):
        vectors[row, : len(example.vectors)] = example.vectors
        live[row, : len(example.vectors)] = True
        plans[row, : len(example.plan)] = torch.tensor(example.plan)
    return {"vectors": vectors, "live": live, "plans": plans}
