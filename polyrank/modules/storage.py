"""In which precision a model's weights are kept: in half of fp32, where its scores stay equal.

For whole models: a distilled student, a full ranking model, a merged checkpoint.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Batch = Mapping[str, Any]  # inputs of a model

PROBE = 4  # batches over which weights in half the precision are compared with the trained ones
TOLERANCE = 0.02  # of the standard deviation of what is compared


@dataclass(frozen=True)
class Stored:
    """How weights are kept, and what that changes.

    Attributes:
        dtype: 'float16' or 'float32'.
        compared: 'scores' or 'states', over `count` pairs of texts, or texts.
        difference: the largest one that fp16 makes, in standard deviations of what is compared.
    """

    dtype: str
    compared: str
    count: int
    difference: float | None  # None: a weight is beyond fp16

    def __str__(self) -> str:
        over = f"over {self.count} {'pairs' if self.compared == 'scores' else 'texts'}"
        if self.difference is None:
            return "Weights are stored in fp32: some are beyond the range of fp16."
        if self.dtype == "float16":
            return (
                f"Weights are stored in fp16 and computed in fp32: {over} the {self.compared} "
                f"differ from those of the trained weights by at most {self.difference:.2%} of "
                f"their standard deviation ({TOLERANCE:.0%} is allowed)."
            )
        return (
            f"Weights are stored in fp32: in fp16 the {self.compared} would differ by "
            f"{self.difference:.2%} of their standard deviation {over}, more than the "
            f"{TOLERANCE:.0%} that is allowed."
        )


@torch.no_grad()
def rounded(model: Any, batches: Sequence[Batch], compared: str = "scores") -> tuple[Any, Stored]:
    """A model in fp16, or as it is where that would change what it computes; and which of them.

    Both are computed in fp32, as every reader here does, the rounded one from weights that went
    through fp16 once.

    Args:
        model: in fp32, on the CPU, left as it is.
        batches: inputs of the model.
        compared: 'scores': the logits; 'states': the last hidden states of real tokens.
    """
    read = {"scores": _scores, "states": _states}[compared]
    model = model.eval()
    half = copy.deepcopy(model).half()
    again = copy.deepcopy(half).float()
    wanted, found = (torch.cat([read(one, batch) for batch in batches]) for one in (model, again))
    difference = float((found - wanted).abs().max() / wanted.std().clamp(min=1e-12))
    kept = difference <= TOLERANCE
    count = sum(len(batch["input_ids"]) for batch in batches)
    told = round(difference, 6) if math.isfinite(difference) else None
    stored = Stored("float16" if kept else "float32", compared, count, told)
    return half if kept else model, stored


def _scores(model: Any, batch: Batch) -> Tensor:
    scores: Tensor = _output(model, batch).logits.float().flatten()
    return scores


def _states(model: Any, batch: Batch) -> Tensor:
    states: Tensor = _output(model, batch).last_hidden_state.float()
    return states[batch["attention_mask"].bool()].flatten()


def _output(model: Any, batch: Batch) -> Any:
    """By the class's own forward: on a model that it trained the Trainer leaves its autocast."""
    return type(model).forward(model, **batch)
