"""Language masks by the same alignment as adapters, with lottery-ticket sparse fine-tuning.

LT-SFT (Ansell et al. 2022, arXiv 2110.07560): train all candidates, keep the k that moved most,
rewind, train these alone. Candidates are the weights of the layers; embeddings and LayerNorms stay.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyrank.encoders.routed import RoutedEncoder
from polyrank.training.language.alignment_loss import sentence_contrast, sentence_distance
from polyrank.training.pack.languages import Pairs, Recipe
from polyrank.training.pack.loaded import Pack
from polyrank.training.pack.optimise import optimise

RATE = 2e-4


def candidates(encoder: Any) -> dict[str, nn.Parameter]:
    """The parameters that a mask may change, by name."""
    return {
        name: parameter
        for name, parameter in encoder.named_parameters()
        if name.startswith("encoder.") and "LayerNorm" not in name
    }


def largest(differences: Mapping[str, Tensor], k: int) -> dict[str, Tensor]:
    """Which coordinates hold the k largest absolute values over all tensors, as booleans."""
    flat = torch.cat([value.abs().flatten() for value in differences.values()])
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    chosen[flat.topk(k).indices] = True
    parts = chosen.split([value.numel() for value in differences.values()])
    return {
        name: part.view_as(value)
        for (name, value), part in zip(differences.items(), parts, strict=True)
    }


def train_mask(
    pack: Pack,
    language: str,
    recipe: Recipe,
    k: int,
    full_steps: int,
    seed: int = 13,
    seconds: float | None = None,
) -> tuple[Any, dict[str, tuple[Tensor, Tensor]], dict[str, Any]]:
    """Train a mask for one language.

    Args:
        k: coordinates that are kept, exactly.
        full_steps: of the phase that finds them; `recipe.steps` is of the phase that trains them.
        seconds: for both phases together, a third for the first.

    Returns:
        The encoder with the mask on, name → (flat indices, values), and facts.
    """
    encoder = copy.deepcopy(pack.encoder)
    start = {name: p.detach().clone() for name, p in candidates(encoder).items()}
    trained = candidates(encoder)
    for parameter in trained.values():
        parameter.requires_grad_(True)
    runner, pairs = RoutedEncoder(encoder, []), Pairs(pack, [language])

    def loss(step: int) -> Tensor:
        random = np.random.default_rng([seed, step])
        number, chosen = pairs.draw(random, recipe.pairs)
        side = ("query", "passage")[int(random.integers(2))]
        ids, real = pairs.sides[number].rows(chosen, 100)
        _, _, _, pooled = pack.states(ids, real, side, runner)
        target = pairs.target(number, chosen, side)
        contrast = sentence_contrast(pooled, target, recipe.temperature)
        return recipe.distance * sentence_distance(pooled, target) + recipe.contrast * contrast

    share = None if seconds is None else seconds / 3
    parameters = list(trained.values())
    first = optimise(parameters, loss, full_steps, RATE, decay=0.0, seconds=share)
    with torch.no_grad():
        kept = largest({name: p - start[name] for name, p in trained.items()}, k)
        for name, parameter in trained.items():
            parameter.copy_(start[name])
    hooks = [p.register_hook(lambda g, m=kept[name]: g * m) for name, p in trained.items()]
    rest = None if seconds is None else 2 * seconds / 3
    facts: dict[str, Any] = optimise(
        parameters, loss, recipe.steps, 4 * RATE, decay=0.0, seconds=rest
    )
    for hook in hooks:
        hook.remove()
    facts |= {"full steps": first["steps"], "k": k, "pairs": len(pairs)}
    differences = {}
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.requires_grad_(False)
            indices = kept[name].flatten().nonzero().squeeze(1)
            values = (parameter - start[name]).flatten()[indices].half()
            differences[name] = (indices, values)
            parameter.copy_(start[name])  # as it will be used: base + rounded difference
            parameter.view(-1)[indices] += values.float()
    return encoder, differences, facts
