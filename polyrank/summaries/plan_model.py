"""A pointer network over the units of an article: one unit after the other, and an end.

    h_0 = tanh(W · mean of units)             h_t = GRU(unit chosen at t − 1, h_{t−1})
    p(u at t) ∝ exp(k_u · q(h_t) / √d)        over the units after the last one, and the end

After Vinyals et al. 2015 (Pointer Networks, arXiv 1506.03134), in the place of the paper's BART
with a copying decoder. The units' vectors come from a frozen base, with a learnt vector of their
place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

PLACES = 64  # from which on units share the vector of their place


class Units(NamedTuple):
    """Units as the model reads them, of B articles, or of one that all plans are of.

    held, keys: (B, U, d), and (B, U + 1, d) with the end. live: (B, U). state: h_0, (B, d).
    """

    held: Tensor
    keys: Tensor
    live: Tensor
    state: Tensor


class PlanModel(nn.Module):
    """Scores the steps of plans.

    Args:
        width: of the units' vectors, H.
        inner: width of the state, d.
    """

    def __init__(self, width: int, inner: int = 128) -> None:
        super().__init__()
        self.width, self.inner = width, inner
        self.norm = nn.LayerNorm(width)
        self.units = nn.Linear(width, inner)
        self.places = nn.Embedding(PLACES, inner)
        self.first = nn.Linear(inner, inner)
        self.begin = nn.Parameter(torch.zeros(inner))
        self.cell = nn.GRUCell(inner, inner)
        self.query = nn.Linear(inner, inner)
        self.key = nn.Linear(inner, inner)
        self.end = nn.Parameter(torch.zeros(inner))

    def forward(self, vectors: Tensor, live: Tensor, plans: Tensor) -> Tensor:
        """Log-probabilities of each step, given those before it.

        Args:
            vectors: of units, (B, U, H).
            live: True where there is a unit, (B, U).
            plans: units of plans, ascending, padded with −1 behind: (B, T).

        Returns:
            (B, T + 1, U + 1), the last column for the end; −inf for what cannot come. Steps behind
            a plan's end mean nothing.
        """
        units = self.read(vectors, live)
        rows = [self._row(units, state, last) for state, last in self._states(units, plans)]
        return torch.stack(rows, dim=1)

    def read(self, vectors: Tensor, live: Tensor) -> Units:
        """What all steps over the same units share; arguments as of `forward`."""
        places = torch.arange(vectors.shape[1], device=vectors.device).clamp(max=PLACES - 1)
        held = self.units(self.norm(vectors)) + self.places(places)  # (B, U, d)
        weights = live.unsqueeze(-1).to(held.dtype)
        mean = (held * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)  # (B, d)
        ends = self.end.expand(len(held), 1, -1)
        keys = self.key(torch.cat([held, ends], dim=1))  # (B, U + 1, d)
        return Units(held, keys, live, torch.tanh(self.first(mean)))

    def following(self, units: Units, plans: Tensor) -> Tensor:
        """Log-probabilities of the step after plans of one length.

        Args:
            units: of one article, or of one for each plan.
            plans: (B, T).

        Returns:
            (B, U + 1), the last row of `forward`.
        """
        *_, (state, last) = self._states(units, plans)
        return self._row(units, state, last)

    def _states(self, units: Units, plans: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Before each step of plans and after the last: the state, (B, d), and the unit that was
        chosen last, −1 for none, (B,)."""
        count = len(plans)
        state = self.cell(self.begin.expand(count, -1), units.state.expand(count, -1))
        yield state, plans.new_full((count,), -1)
        held = units.held.expand(count, -1, -1)
        each = torch.arange(count, device=held.device)
        for chosen in plans.unbind(dim=1):
            state = self.cell(held[each, chosen.clamp(min=0)], state)
            yield state, chosen

    def _row(self, units: Units, state: Tensor, last: Tensor) -> Tensor:
        """One step: units after the last one, or the end; no plan ends before it began."""
        query = self.query(state).unsqueeze(2)  # (B, d, 1)
        logits = (units.keys @ query).squeeze(2) / math.sqrt(self.inner)  # (B, U + 1)
        number = torch.arange(units.held.shape[1], device=last.device)
        open_ = units.live & (number > last.unsqueeze(1))  # (B, U)
        open_ = torch.cat([open_, (last >= 0).unsqueeze(1)], dim=1)
        return logits.float().masked_fill(~open_, float("-inf")).log_softmax(dim=-1)


def plan_loss(log_probabilities: Tensor, plans: Tensor) -> Tensor:
    """The mean negative log-likelihood of the steps of plans, their ends among them.

    Args:
        log_probabilities: (B, T + 1, U + 1), as `PlanModel` gives them.
        plans: (B, T), padded with −1.

    Returns:
        One value for each plan, (B,).
    """
    lengths = (plans >= 0).sum(dim=1)  # (B,)
    end = log_probabilities.shape[2] - 1
    padded = torch.cat([plans, plans.new_full((len(plans), 1), -1)], dim=1)  # (B, T + 1)
    steps = torch.arange(padded.shape[1], device=plans.device)
    targets = padded.masked_fill(steps == lengths.unsqueeze(1), end)
    real = targets >= 0
    chosen = log_probabilities.gather(2, targets.clamp(min=0).unsqueeze(2)).squeeze(2)
    return -chosen.masked_fill(~real, 0.0).sum(dim=1) / (lengths + 1)
