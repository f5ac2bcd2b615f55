"""Masks on and off a model of 100 million parameters: time, memory and drift.

    python benchmarks/mask_swap.py --output benchmarks/results/mask_swap.json

A swap puts a composition of two masks (a ranking mask and a language mask) on a random model and
takes it off again. One thread; other work may share the machine, so the three ways take turns, and
the ratios are of the thread's CPU time, with the time on the clock beside it. Compared are:

- polyrank: `polyrank.modules.mask.sparse`, which keeps what stood at the changed coordinates.
- dense: each mask a full tensor per weight, added and then subtracted.
- in place: the style of composable-sft: per mask and weight a sparse COO tensor, added in place,
  and subtracted in place to revert.

Memory is what a language mask takes while it waits and what a swap adds while it is on, counted in
bytes of tensors. Drift is how far the weights are from where they stood after many swaps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from polyrank.machine import machine
from polyrank.modules.mask.sparse import Differences, SparseDifference, added, apply, revert
from polyrank.modules.mask.sums import MaskSums, nbytes

LAYERS, WIDTH, VOCABULARY = 12, 768, 18_200
SHARE = 0.0441  # of the coordinates, as ModularCLIR's masks of mBERT have it
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def random_model() -> Any:
    """A BERT of about 100 million parameters, small weights of a usual size."""
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS)
    return BertModel(config, add_pooling_layer=False).eval()


def random_mask(model: Any, seed: int) -> dict[str, SparseDifference]:
    """Coordinates spread over all weights; differences of the size that fine-tuning makes."""
    generator = torch.Generator().manual_seed(seed)
    mask = {}
    for name, weight in model.named_parameters():
        chosen = torch.rand(weight.numel(), generator=generator) < SHARE
        indices = chosen.nonzero().squeeze(1)
        values = torch.randn(len(indices), generator=generator).mul_(1e-3).half()
        mask[name] = SparseDifference(tuple(weight.shape), indices, values)
    return mask


class Times(NamedTuple):
    """Milliseconds of this thread on a CPU, and on the clock."""

    cpu: float
    wall: float


@dataclass
class Way:
    """A way to swap: what it does, what one waiting mask takes, what a swap adds while it is on."""

    on: Callable[[], Any]
    off: Callable[[Any], None]
    waiting: int
    while_on: int


def ways(model: Any, masks: list[dict[str, SparseDifference]]) -> dict[str, Way]:
    """The three ways for the same masks and the same model."""
    weights = dict(model.named_parameters())
    total = sum(weight.nbytes for weight in weights.values())

    summed = MaskSums(lambda place: masks[place])(tuple(range(len(masks))))
    undo_bytes = sum(
        d.indices.nbytes + len(d.indices) * weights[n].element_size() for n, d in summed.items()
    )
    ours = Way(
        on=lambda: apply(model, summed),
        off=lambda undo: revert(model, undo),
        waiting=nbytes(masks[-1]),
        # The cached sum, and what stood there: its positions are the sum's own tensors.
        while_on=nbytes(summed) + undo_bytes - sum(d.indices.nbytes for d in summed.values()),
    )

    dense = [{n: d.dense().to(weights[n].dtype) for n, d in mask.items()} for mask in masks]
    full = Way(
        on=lambda: _each(weights, dense, 1),
        off=lambda _: _each(weights, dense, -1),
        waiting=total,
        while_on=0,
    )

    sparse = [{n: _coo(d, weights[n].dtype) for n, d in mask.items()} for mask in masks]
    in_place = Way(
        on=lambda: _each(weights, sparse, 1),
        off=lambda _: _each(weights, sparse, -1),
        waiting=sum(t.indices().nbytes + t.values().nbytes for t in sparse[-1].values()),
        while_on=0,
    )
    return {"polyrank": ours, "dense": full, "in place": in_place}


def _coo(difference: SparseDifference, dtype: torch.dtype) -> Tensor:
    places = torch.stack(torch.unravel_index(difference.indices, difference.shape))
    values = difference.values.to(dtype)
    return torch.sparse_coo_tensor(places, values, difference.shape, is_coalesced=True)


@torch.no_grad()
def _each(weights: dict[str, Tensor], masks: list[dict[str, Tensor]], sign: int) -> None:
    for mask in masks:
        for name, difference in mask.items():
            weights[name].add_(difference, alpha=sign)


def timed(call: Callable[[], Any]) -> tuple[Times, Any]:
    wall, cpu = time.perf_counter(), time.thread_time()
    result = call()
    used = time.thread_time() - cpu, time.perf_counter() - wall
    return Times(*(1000 * seconds for seconds in used)), result


def spread(values: list[float], digits: int = 1) -> dict[str, Any]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": round(middle, digits), "quartiles": [round(low, digits), round(high, digits)]}


def measure(model: Any, masks: list[dict[str, SparseDifference]], rounds: int) -> dict[str, Any]:
    """Times of each way, in turns; the model is put back in between, whatever drifted."""
    compared = ways(model, masks)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    ons: dict[str, list[Times]] = {name: [] for name in compared}
    offs: dict[str, list[Times]] = {name: [] for name in compared}
    for turn in range(rounds + 1):
        for name, way in compared.items():
            on, state = timed(way.on)
            off, _ = timed(partial(way.off, state))
            _put_back(model, start)
            if turn:  # the first one warms up
                ons[name].append(on)
                offs[name].append(off)
    swaps = {n: [a.cpu + b.cpu for a, b in zip(ons[n], offs[n], strict=True)] for n in compared}
    result: dict[str, Any] = {}
    for name, way in compared.items():
        ratios = [ours / its for ours, its in zip(swaps["polyrank"], swaps[name], strict=True)]
        result[name] = {
            "on_cpu_ms": spread([times.cpu for times in ons[name]]),
            "off_cpu_ms": spread([times.cpu for times in offs[name]]),
            "on_wall_ms": spread([times.wall for times in ons[name]]),
            "off_wall_ms": spread([times.wall for times in offs[name]]),
            "polyrank_swap_to_this": spread(ratios, 2),
            "mebibytes_of_a_waiting_mask": round(way.waiting / 2**20, 1),
            "polyrank_waiting_to_this": round(compared["polyrank"].waiting / way.waiting, 2),
            "mebibytes_more_while_on": round(way.while_on / 2**20, 1),
        }
    return result


@torch.no_grad()
def _put_back(model: Any, start: dict[str, Tensor]) -> None:
    for name, weight in model.named_parameters():
        weight.copy_(start[name])


def drift(model: Any, masks: list[Differences], cycles: int) -> dict[str, Any]:
    """After so many swaps: weights that have other bits, and the largest distance from the start.

    One weight matrix stands for the model, so that thousands of swaps take seconds.
    """
    name = "encoder.layer.0.intermediate.dense.weight"
    part = torch.nn.ParameterDict({"weight": dict(model.named_parameters())[name].detach().clone()})
    start = part["weight"].detach().clone()
    parts = [{"weight": mask[name]} for mask in masks]
    result: dict[str, Any] = {}
    for kind, way in ways(part, parts).items():
        part["weight"].data.copy_(start)
        for _ in range(cycles):
            way.off(way.on())
        now = part["weight"].detach()
        moved = (now.float() - start.float()).abs()
        other = (now.view(torch.uint8) != start.view(torch.uint8)).view(*start.shape, -1).any(-1)
        result[kind] = {
            "share_of_weights_changed": round(float(other.float().mean()), 4),
            "largest_distance": float(moved.max()),
        }
    return {"cycles": cycles, **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="JSON to write")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cycles", type=int, default=1000)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = random_model()
    masks = [random_mask(model, seed) for seed in range(2)]
    summing = [timed(partial(added, masks))[0].cpu for _ in range(5)]
    result: dict[str, Any] = {
        "machine": machine(),
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "coordinates_of_a_mask": sum(len(d.indices) for d in masks[0].values()),
        "masks_of_a_composition": len(masks),
        "rounds": options.rounds,
        "adding_up_a_new_composition_cpu_ms": spread(summing),
    }
    for name, dtype in DTYPES.items():
        model = model.to(dtype)
        result[name] = measure(model, masks, options.rounds)
        result[name]["drift"] = drift(model, masks, options.cycles)
        print(name, json.dumps(result[name], indent=1), flush=True)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k not in DTYPES}, indent=1))


if __name__ == "__main__":
    main()
