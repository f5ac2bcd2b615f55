"""Trains a model that plans summaries, by imitation of plans found against the references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.base import DEFAULT_BASE, load_base
from polyrank.errors import UsageError
from polyrank.modules.card import Data
from polyrank.notes import Notebook
from polyrank.progress import note
from polyrank.summaries.articles import Article, identified
from polyrank.summaries.plan_folder import PlanCard, save_plan_model
from polyrank.summaries.plan_model import PlanModel, plan_loss
from polyrank.summaries.unit_vectors import UnitEncoder
from polyrank.training.kinds.contract import Fitted
from polyrank.training.loop import processes
from polyrank.training.loop.run import Lesson, Place, train
from polyrank.training.loop.steps import Batch, Schedule
from polyrank.training.loop.warnings import tell_worse
from polyrank.training.plans.examples import (
    PlanBatches,
    PlanExample,
    collated,
    digest_of,
    examples_of,
)
from polyrank.training.plans.recipe import PlanRecipe

FEWEST = 10  # articles, of which a tenth is held out


def train_plan_model(
    articles: Sequence[Article],
    output: str | Path,
    base: str = DEFAULT_BASE,
    fineness: str = PlanRecipe.fineness,
    longest: int = PlanRecipe.longest,
    inner: int = PlanRecipe.inner,
    steps: int = PlanRecipe.steps,
    batch_size: int = PlanRecipe.batch_size,
    rate: float = PlanRecipe.rate,
    seed: int = PlanRecipe.seed,
    resume: bool = False,
    data: Sequence[Data] = (),
    command: str = "",
) -> PlanCard:
    """Trains a plan model over a frozen base.

    Args:
        articles: with references; see `oracle_plan` for what is learned of them.
        output: folder to write; `<output>.work` holds checkpoints until the end.
        base: 'e5-small', a Hub id or a folder.
        fineness: of the units, 'clause' or 'sentence'.
        longest: units of a plan at most.
        inner: width of the model.
        steps, batch_size: optimizer steps, articles a step.
        rate: peak learning rate.
        seed: of what is drawn.
        resume: continue from the last checkpoint.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.

    Returns:
        The card as written, with the held-out perplexity of a step of a plan before and after.

    Raises:
        UsageError: options that do not fit, or too few articles with references.
    """
    recipe = PlanRecipe(base, articles, fineness, longest, inner, steps, batch_size, rate, seed)
    place = Place(Path(output), resume, None, tuple(data), command)
    return train(PlanTraining, recipe, place)


class PlanTraining:
    """The training of one plan model."""

    def __init__(self, recipe: PlanRecipe, place: Place) -> None:
        self.recipe = recipe
        self.notebook = Notebook()
        referenced = [article for article in recipe.articles if article.reference.strip()]
        self.articles = [identified(article, self.notebook) for article in referenced]
        self.notebook.add(
            "other",
            "articles without a reference, which teach nothing",
            len(recipe.articles) - len(self.articles),
        )
        if len(self.articles) < FEWEST:
            raise UsageError(
                f"{len(self.articles)} articles have a reference, of which a plan model learns; "
                f"give {FEWEST} or more, with a field 'reference'"
            )
        self.base = load_base(recipe.base)
        self.encode = UnitEncoder(self.base, self.notebook)

    def build(self) -> PlanModel:
        model = PlanModel(self.base.model.config.hidden_size, self.recipe.inner)
        return model.to(self.encode.device)

    def settings(self, model: PlanModel) -> Mapping[str, Any]:
        recipe = self.recipe
        return {
            "base": str(self.base.fingerprint),
            "units": recipe.fineness,
            "units of a plan": recipe.longest,
            "width": recipe.inner,
            "steps": recipe.steps,
            "batch size": recipe.batch_size,
            "rate": recipe.rate,
            "seed": recipe.seed,
            "articles": digest_of(self.articles),
        }

    def prepare(self, model: PlanModel, place: Place) -> Lesson:
        recipe = self.recipe
        with processes.main_first():
            examples = examples_of(
                self.articles, recipe.fineness, recipe.longest, self.encode, place.work / "plans"
            )
        self.notebook.add(
            "other",
            "articles that share no word with their reference, which teach nothing",
            len(self.articles) - len(examples),
        )
        for line in self.notebook.notes.lines():
            note(line)
        if len(examples) < FEWEST:
            raise UsageError(
                f"only {len(examples)} of {len(self.articles)} articles share a word with their "
                "reference; are they in one language?"
            )
        order = np.random.default_rng([recipe.seed, 17]).permutation(len(examples))
        apart = max(1, len(examples) // FEWEST)
        self.unseen = [examples[place] for place in order[:apart]]
        self.seen = [examples[place] for place in order[apart:]]
        self.before = measured(model, self.unseen)
        batches = PlanBatches(self.seen, recipe.batch_size, recipe.seed)
        schedule = Schedule(steps=recipe.steps, rate=recipe.rate, seed=recipe.seed)
        return Lesson(model, batches, shared_loss, schedule)

    def save(self, fitted: Fitted, place: Place) -> PlanCard:
        recipe, model = self.recipe, fitted.model.eval()
        after = measured(model, self.unseen)
        note(f"held-out perplexity of a step {self.before} -> {after}")
        tell_worse({"perplexity": self.before}, {"perplexity": after})
        plans = [len(example.plan) for example in (*self.seen, *self.unseen)]
        card = PlanCard(
            self.base.name,
            self.base.fingerprint,
            recipe.fineness,
            recipe.longest,
            model.width,
            model.inner,
            recipe={
                "command": place.command,
                "batch_size": recipe.batch_size,
                "rate": recipe.rate,
                "articles": len(self.articles),
                "articles learned from": len(self.seen),
                "units of an oracle plan": round(float(np.mean(plans)), 2),
                **fitted.facts,
            },
            figures={
                "perplexity before": self.before,
                "perplexity after": after,
                "held-out articles": len(self.unseen),
            },
            data=place.data,
        )
        return save_plan_model(model.cpu(), place.output, card)


def shared_loss(model: Any, batch: Batch) -> Tensor:
    """The mean over the plans of a batch, of which each process takes its share."""
    own = processes.share(dict(batch))
    losses = plan_loss(model(own["vectors"], own["live"], own["plans"]), own["plans"])  # (B,)
    return processes.shared_mean(losses.mean(), len(losses))


@torch.inference_mode()
def measured(model: PlanModel, examples: Sequence[PlanExample]) -> float:
    """The perplexity of a step: e to the mean over plans of their mean negative log-likelihood."""
    losses = []
    for example in examples:
        row = {name: tensor.to(model.begin.device) for name, tensor in collated([example]).items()}
        steps = model(row["vectors"], row["live"], row["plans"])
        losses.append(float(plan_loss(steps, row["plans"])))
    return round(float(np.exp(np.mean(losses))), 3)
