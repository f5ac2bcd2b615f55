"""Finding a mask's coordinates: the streaming selection against one global top-k.

    python benchmarks/sparse_selection.py --output benchmarks/results/sparse_selection.json

Both choose k of the same changes (two copies of random weights in the shapes of a base-size
encoder). Each run is a process of its own, since peak memory never falls; it reports the seconds of
the selection, and by how much its peak resident memory exceeds what it held before. The naive peer
is what one writes first: all changes in one tensor, `torch.topk`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from polyrank.machine import machine
from polyrank.training.loop.selection import select_largest

Tensors = dict[str, Tensor]


def weights(seed: int, layers: int, width: int, vocabulary: int) -> Tensors:
    """Random tensors in the shapes of a BERT encoder."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"embeddings": (vocabulary, width)}
    for layer in range(layers):
        for name in ("query", "key", "value", "output"):
            shapes[f"{layer}.{name}"] = (width, width)
        shapes[f"{layer}.up"], shapes[f"{layer}.down"] = (4 * width, width), (width, 4 * width)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def naive(now: Tensors, start: Tensors, k: int) -> Tensors:
    """All changes in one tensor, then its top k."""
    changes = torch.cat([(now[name] - start[name]).abs().reshape(-1) for name in now])
    chosen = changes.topk(k).indices.sort().values
    found, offset = {}, 0
    for name, tensor in now.items():
        inside = (chosen >= offset) & (chosen < offset + tensor.numel())
        found[name] = chosen[inside] - offset
        offset += tensor.numel()
    return found


METHODS = {"streaming": select_largest, "naive": naive}


def peak() -> int:
    """Peak resident memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one(method: str, options: argparse.Namespace) -> None:
    """One selection, in a process of its own."""
    sizes = options.layers, options.width, options.vocabulary
    start, now = weights(options.seed, *sizes), weights(options.seed + 1, *sizes)
    coordinates = sum(tensor.numel() for tensor in now.values())
    METHODS[method]({"a": torch.ones(9)}, {"a": torch.zeros(9)}, 3)  # libraries are loaded
    before, started = peak(), time.perf_counter()
    chosen = METHODS[method](now, start, round(options.share * coordinates))
    seconds = time.perf_counter() - started
    bits = b"".join(chosen[name].numpy().tobytes() for name in now)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "extra_bytes": peak() - before,
                "coordinates": coordinates,
                "chosen": hashlib.sha256(bits).hexdigest()[:16],
            }
        )
    )


def main() -> None:
    """Every method in turn, some times; writes medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--vocabulary", type=int, default=30000)
    parser.add_argument("--share", type=float, default=0.04, help="of the coordinates")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options)
        return
    runs: dict[str, list[dict]] = {method: [] for method in METHODS}
    for _ in range(options.repeats):
        for method in METHODS:
            command = [sys.executable, *sys.argv, "--one", method]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            runs[method].append(json.loads(done.stdout))
    every = [run for found in runs.values() for run in found]
    assert len({run["chosen"] for run in every}) == 1, "the methods chose other coordinates"
    copy = 4 * every[0]["coordinates"]
    result = {
        "candidates": every[0]["coordinates"],
        "share": options.share,
        "repeats": options.repeats,
        "seed": options.seed,
        "machine": f"{machine()}, torch {torch.__version__}",
        "methods": {
            method: {
                "seconds": round(statistics.median(run["seconds"] for run in found), 3),
                "seconds range": [round(f(r["seconds"] for r in found), 3) for f in (min, max)],
                "extra memory, copies of the candidates": round(
                    max(run["extra_bytes"] for run in found) / copy, 3
                ),
            }
            for method, found in runs.items()
        },
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
