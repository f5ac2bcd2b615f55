"""Other tiles on the main shapes, for the table in kernels/triton/configuration.py: `--sweep`.

Each trial puts one tile after another in place of what the table would choose, on the shape that
stands for its bucket. The best of a bucket goes into the table by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from unittest.mock import patch

import gpu
import gpu_timing as timing
import torch
from gpu_timing import GPU, Call
from maxsim import Case, Shape

from polyrank.kernels import autograd, contract, routed_adapter
from polyrank.kernels.codecs import compressed
from polyrank.kernels.triton import maxsim_backward, maxsim_forward, routed_adapter_kernel
from polyrank.kernels.triton.configuration import Tile

# Where a tile is chosen: the modules and names of the functions that answer with one.
Place = tuple[Any, str]
FORWARD: list[Place] = [(maxsim_forward, "maxsim_tile")]
BYTES: list[Place] = [(compressed, "bytes_tile")]
SUM: list[Place] = [(maxsim_backward, "sum_tile")]
SCATTER: list[Place] = [(maxsim_backward, "scatter_tile")]
ADAPTER: list[Place] = [(routed_adapter_kernel, "adapter_tile")]


@dataclass(frozen=True)
class Trial:
    """A bucket of the table: a shape that stands for it, and tiles to try.

    how: "score"; "train", the forward with winners; "queries" and "documents", their gradients.
    """

    bucket: str
    places: list[Place]
    shape: Shape | tuple[int, int, int]
    tiles: list[Tile]
    how: str = "score"


def _tiles(*numbers: tuple[int, int, int, int]) -> list[Tile]:
    return [Tile(*four) for four in numbers]


_ONE = _tiles(
    (64, 32, 4, 3), (64, 32, 4, 4), (128, 32, 4, 2), (128, 32, 4, 4), (64, 32, 2, 4),
    (256, 32, 8, 2), (32, 32, 2, 5), (128, 32, 8, 3),
)  # fmt: skip
_TWO = _tiles((64, 64, 4, 3), (64, 64, 4, 4), (128, 64, 4, 3), (128, 64, 8, 2))
_MANY = _tiles(
    (64, 128, 4, 2), (64, 128, 4, 3), (64, 128, 8, 4), (128, 128, 4, 2), (128, 128, 8, 2),
    (128, 128, 8, 3),
    (128, 64, 4, 3), (64, 64, 4, 3), (64, 256, 8, 3), (128, 256, 8, 2),
)  # fmt: skip
_WINNERS = _tiles(
    (64, 128, 4, 2), (64, 128, 4, 3), (64, 128, 8, 3), (64, 64, 4, 4), (128, 128, 8, 2),
    (32, 128, 4, 4), (128, 64, 4, 3),
)  # fmt: skip
_BYTES_ONE = _tiles(
    (64, 32, 4, 2), (64, 32, 4, 3), (64, 32, 4, 4), (128, 32, 4, 2), (128, 32, 8, 2),
    (64, 32, 2, 2), (64, 32, 2, 3), (32, 32, 2, 3), (32, 32, 1, 3), (16, 32, 1, 3),
)  # fmt: skip
_BYTES_MANY = _tiles(
    (64, 128, 8, 3), (64, 128, 4, 2), (128, 128, 8, 2), (64, 64, 4, 3), (128, 64, 8, 2),
    (128, 64, 4, 2), (32, 128, 4, 2), (64, 64, 4, 2), (64, 128, 8, 2),
)  # fmt: skip
_SUMS = _tiles(
    (4, 1, 1, 1), (8, 1, 1, 3), (8, 1, 2, 3), (16, 1, 2, 3), (16, 1, 4, 3), (32, 1, 4, 3)
)
_SCATTERS = _tiles(
    (128, 64, 8, 3), (64, 64, 4, 3), (64, 64, 4, 4), (64, 32, 4, 4), (128, 32, 8, 4),
    (128, 64, 4, 3), (128, 128, 8, 2), (64, 128, 4, 2), (256, 32, 8, 3), (256, 64, 8, 2),
)  # fmt: skip
_ADAPTERS = _tiles(
    *((n, rows, warps, stages) for n, rows, warps, stages in (
        (16, 64, 4, 3), (32, 64, 4, 3), (32, 128, 4, 2), (64, 64, 4, 2), (64, 64, 4, 3),
        (64, 64, 8, 2), (64, 32, 4, 3), (128, 64, 8, 2), (128, 32, 8, 3), (64, 128, 8, 2),
    )),
)  # fmt: skip


def trials(tiny: bool) -> list[Trial]:
    if tiny:
        step = Shape("train", 2, 2, 9, 4, 16)
        return [
            Trial("maxsim 32", FORWARD, Shape("rerank", 1, 4, 20, 4, 16), [Tile(16, 32, 4, 2)]),
            Trial(
                "winners", FORWARD, Shape("train", 2, 2, 9, 4, 16), [Tile(16, 32, 4, 2)], "train"
            ),
            Trial("sum", SUM, step, [Tile(8, 1, 1, 2)], "queries"),
            Trial("scatter", SCATTER, step, [Tile(16, 16, 4, 2)], "documents"),
            Trial("bytes", BYTES, Shape("int8", 1, 4, 20, 4, 16), [Tile(16, 32, 4, 2)]),
            Trial("adapter", ADAPTER, (24, 8, 40), [Tile(16, 16, 4, 2)]),
        ]
    codes = 1 << 14
    step = Shape("train", 256, 256)
    return [
        Trial("maxsim 128, winners", FORWARD, step, _WINNERS, "train"),
        Trial("maxsim 128, many queries", FORWARD, Shape("rerank", 8, 10_000), _MANY),
        Trial("bytes 32, residual-2", BYTES, _coded("residual-2", 1, codes), _BYTES_ONE),
        Trial("bytes 128, residual-4", BYTES, _coded("residual-4", 16, codes), _BYTES_MANY),
        Trial("bytes 32, int8", BYTES, _coded("int8", 1), _BYTES_ONE),
        Trial("bytes 32, residual-4", BYTES, _coded("residual-4", 1, codes), _BYTES_ONE),
        Trial("bytes 128, residual-2", BYTES, _coded("residual-2", 16, codes), _BYTES_MANY),
        Trial("bytes 128, int8", BYTES, _coded("int8", 16), _BYTES_MANY),
        Trial("maxsim 32, one query", FORWARD, Shape("rerank", 1, 10_000), _ONE),
        Trial("scatter", SCATTER, step, _SCATTERS, "documents"),
        Trial("sum, of many rows", SUM, step, _SUMS, "queries"),
        Trial("maxsim 64, two queries", FORWARD, Shape("rerank", 2, 10_000), _TWO),
        Trial("maxsim 128, long texts", FORWARD, Shape("rerank", 1, 1000, 1024, 1024), _MANY),
        Trial("adapter", ADAPTER, (384, 96, 64_000), _ADAPTERS),
        Trial("maxsim 32, long documents", FORWARD, Shape("rerank", 1, 10_000, 300), _ONE),
    ]


def _coded(kind: str, queries: int, centroids: int = 0) -> Shape:
    return Shape(kind, queries, 50_000, centroids=centroids)


def plan(tiny: bool) -> Iterator[gpu.Step]:
    for trial in trials(tiny):
        need = 2.0 + 0.3 * len(trial.tiles)
        yield f"sweep · {trial.bucket}", need, lambda _, trial=trial: run(trial)


def run(trial: Trial) -> dict[str, Any]:
    """Milliseconds by tile, or why one does not run; and which one the table gives."""
    found: dict[str, Any] = {"shape": str(trial.shape), "now": "", "errors": {}}
    case = Case.make(trial.shape) if isinstance(trial.shape, Shape) else trial.shape
    make = partial(_call, trial, case)
    seen: list[Tile] = []
    with _watched(trial, seen):
        call = make(None)
        exact = _result(call())
    found["now"] = _text(seen[0])
    found[found["now"]] = float(timing.device_ms(call, 0.08)[0])
    for tile in trial.tiles:
        if _text(tile) in found:
            continue
        with _instead(trial, tile):
            try:
                call = make(tile)
                right = gpu.gpu_parity.error(_result(call()), exact)
                timing.wait()
                if right > 2e-2:
                    raise ValueError(f"differs from the table's tile by {right:.1e}")
                found[_text(tile)] = float(timing.device_ms(call, 0.08)[0])
            except Exception as reason:  # too much shared memory, say: another tile may do
                text = " ".join(f"{type(reason).__name__}: {reason}".split())
                found["errors"][_text(tile)] = text[:200]
                if not gpu._sound():
                    raise
    return found


def _call(trial: Trial, case: Any, tile: Tile | None) -> Call:
    if not isinstance(trial.shape, Shape):
        dtype = torch.bfloat16 if GPU else torch.float16
        with torch.inference_mode():
            way = gpu.adapter_ways(*trial.shape, dtype)["ten languages by row, add_adapters"]
        return torch.inference_mode()(way)
    torch.manual_seed(0)  # compressed documents have random bytes: the same for every tile
    if trial.how != "score":
        return partial(_TRAINING[trial.how], case)
    score = next(iter(gpu.systems(trial.shape).values()))(case)
    return torch.no_grad()(score)


def _training(case: Case) -> tuple[torch.Tensor, torch.Tensor, contract.Problem]:
    queries, documents = case.queries, case.documents
    problem = contract.Problem(
        contract.padded("queries", queries, None),
        contract.padded("documents", documents, None),
        columns=len(documents),
    )
    flat = queries.flatten(0, 1), documents.flatten(0, 1)
    if not GPU:  # where full precision takes another path
        return flat[0].half(), flat[1].half(), problem
    return *flat, problem


def _with_winners(case: Case) -> torch.Tensor:
    return autograd.forward(*_training(case), argmax=True)[0]


@lru_cache(1)
def _won(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """The winners, and a gradient of the scores."""
    scores, winners = autograd.forward(*_training(case), argmax=True)
    assert winners is not None
    return winners, torch.linspace(-1, 1, scores.numel(), device=scores.device).view_as(scores)


def _gradients(which: int, case: Case) -> torch.Tensor:
    queries, documents, problem = _training(case)
    winners, gradient = _won(case)
    needs = (which == 0, which == 1)
    both = maxsim_backward.backward(gradient, queries, documents, winners, problem, needs)
    made = both[which]
    assert made is not None
    return made


_TRAINING: dict[str, Callable[[Case], torch.Tensor]] = {
    "train": _with_winners,
    "queries": partial(_gradients, 0),
    "documents": partial(_gradients, 1),
}


def _result(out: Any) -> torch.Tensor:
    return (out[0] if isinstance(out, tuple) else out).detach().float().clone()


def _text(tile: Tile) -> str:
    return f"{tile.tokens}×{tile.rows} {tile.warps}w {tile.stages}s"


def _instead(trial: Trial, tile: Tile) -> ExitStack:
    stack = _asked_anew()
    for module, name in trial.places:
        stack.enter_context(patch.object(module, name, lambda *_: tile))
    if trial.places is ADAPTER:
        stack.enter_context(patch.object(routed_adapter, "adapter_tokens", lambda *_: tile.tokens))
    return stack


def _asked_anew() -> ExitStack:
    """Tiles that were chosen before are forgotten, on the way in and on the way out."""
    stack = ExitStack()
    stack.callback(maxsim_forward._tile.cache_clear)
    maxsim_forward._tile.cache_clear()
    return stack


def _watched(trial: Trial, seen: list[Tile]) -> ExitStack:
    """Remember what the table answers."""
    stack = _asked_anew()
    for module, name in trial.places:
        answer = getattr(module, name)

        def watch(*given: Any, answer: Callable[..., Tile] = answer) -> Tile:
            seen.append(answer(*given))
            return seen[-1]

        stack.enter_context(patch.object(module, name, watch))
    return stack


def warm_tasks(tiny: bool) -> list[gpu.Task]:
    """Each tile once, over few documents."""
    tasks: list[gpu.Task] = []
    for trial in trials(tiny):
        shape = gpu.small(trial.shape) if isinstance(trial.shape, Shape) else trial.shape
        few = Trial(trial.bucket, trial.places, shape, trial.tiles, trial.how)
        name = f"sweep · {trial.bucket}"
        tasks += [(name, partial(_warm, few, tile)) for tile in (None, *trial.tiles)]
    return tasks


def _warm(trial: Trial, tile: Tile | None) -> None:
    case = Case.make(trial.shape) if isinstance(trial.shape, Shape) else trial.shape
    with _instead(trial, tile) if tile else ExitStack():
        _call(trial, case, tile)()
