"""Plans by a trained plan model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyrank.base import Base, device_of
from polyrank.notes import Notebook
from polyrank.summaries.articles import Article
from polyrank.summaries.oracle import Plan
from polyrank.summaries.plan_folder import load_plan_model
from polyrank.summaries.plan_model import PlanModel
from polyrank.summaries.search import Steps
from polyrank.summaries.unit_vectors import UnitEncoder
from polyrank.summaries.units import Span


class TrainedPlanner:
    """Proposes plans by a model of 'polyrank summaries train-plan'.

    Args:
        model: in eval mode.
        base: that it was made for.
        longest: units of a plan at most.
        device: by default a GPU when there is one.
    """

    def __init__(
        self, model: PlanModel, base: Base, longest: int, device: str | None = None
    ) -> None:
        self.longest = longest
        self.notebook = Notebook()
        self.model = model.to(device_of(device)).eval()
        self.encode = UnitEncoder(base, self.notebook, device)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        base: str | None = None,
        longest: int | None = None,
        device: str | None = None,
    ) -> tuple[TrainedPlanner, str]:
        """A planner of a folder, and the fineness of the units that it was taught.

        Args:
            longest: units of a plan at most; as in training where that is None.

        Raises:
            ModuleError: see `load_plan_model`.
        """
        model, card, loaded = load_plan_model(folder, base)
        return cls(model, loaded, longest or card.longest, device), card.fineness

    def steps(self, article: Article, units: tuple[Span, ...]) -> Steps:
        return by_model(self.model, self.encode(article.text, units))


AT_ONCE = 256  # plans


def by_model(model: PlanModel, vectors: Tensor) -> Steps:
    """What the model says of the next step.

    Args:
        vectors: of the units of one article, (U, H).
    """
    device = model.begin.device
    live = torch.ones(1, len(vectors), dtype=torch.bool, device=device)
    with torch.inference_mode():
        units = model.read(vectors.to(device).unsqueeze(0), live)

    @torch.inference_mode()
    def steps(plans: Sequence[Plan]) -> NDArray[np.float32]:
        count, length = len(plans), len(plans[0])  # those that are live are equally long
        begun = torch.tensor(plans, dtype=torch.int64, device=device).view(count, length)
        rows = torch.cat([model.following(units, some) for some in begun.split(AT_ONCE)])
        found: NDArray[np.float32] = rows.cpu().numpy()  # (B, U + 1)
        return found

    return steps
