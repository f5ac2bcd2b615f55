"""The precision 'auto': the fastest on this machine of those that lose nothing to speak of.

What a precision loses is measured on development data, by language, with `benchmarks/precision.py`,
and written down in `losses.json`, for the weights of a base and a family of rerankers. How fast it
is here is measured once, on a few texts, and remembered in the cache folder.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import resources
from typing import Any

import torch

from polyrank.base import Base
from polyrank.base.roots import cache_root
from polyrank.collections.files import writing
from polyrank.encoders.int8 import TEXTS, quantised
from polyrank.encoders.precision import AUTO, FP32, PRECISIONS, Precision, as_precision
from polyrank.errors import UsageError
from polyrank.machine import cpu_bf16, machine
from polyrank.notes import Notebook

PAIRS, LATE, DENSE = "cross-encoder", "late-interaction", "dense"  # families of `losses.json`
LIMIT = 0.005  # of nDCG@10, in any language
ROUNDS, ROWS = 5, 8


def settled(
    wanted: str | None,
    family: str,
    base: Base | None,
    encoder: Any,
    device: torch.device,
    notebook: Notebook,
) -> Precision:
    """The precision that a name means here.

    Args:
        wanted: a name; 'auto' is settled, and noted.
        family: of the reranker that the encoder is for.
        base: that the encoder is of; None where it is of none, so nothing was measured.
        encoder: in fp32.
        notebook: gets a note of what was chosen, and why.

    Raises:
        UsageError: an unknown name.
    """
    if wanted != AUTO:
        return as_precision(wanted)
    allowed = [] if base is None or device.type != "cpu" else _harmless(base, family)
    if base is None or not allowed:
        why = "nothing faster was measured to be harmless for this model on this device"
        notebook.add("precision", f"precision auto: fp32, as {why}")
        return FP32
    key = (machine(), f"torch {torch.__version__}", base.fingerprint.weights, ",".join(allowed))
    times = _remembered(" | ".join(key), lambda: timed(encoder, base.tokenizer, allowed))
    name = min(times, key=lambda one: times[one])
    ratio = times["fp32"] / times[name]
    notebook.add("precision", f"precision auto: {name}, {ratio:.2f} x as fast as fp32 here")
    return PRECISIONS[name]


def losses(base: Base, family: str) -> Mapping[str, Mapping[str, float]]:
    """Precision → language → nDCG@10 of fp32 less its own, as measured; empty for another base."""
    text = resources.files("polyrank.encoders").joinpath("losses.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    measured: Mapping[str, Mapping[str, float]] = found.get(base.fingerprint.weights, {}).get(
        family, {}
    )
    return measured


def _harmless(base: Base, family: str) -> list[str]:
    """Precisions that lose no more than `LIMIT` in any language, and that this processor has."""
    found = losses(base, family)
    return [
        name
        for name, by_language in sorted(found.items())
        if max(by_language.values()) <= LIMIT and (name != "bf16" or cpu_bf16())
    ]


@torch.inference_mode()
def timed(encoder: Any, tokenizer: Any, names: list[str]) -> dict[str, float]:
    """Seconds of CPU time for one batch in fp32 and in each of these, taking turns; the least."""
    ids = tokenizer(list(TEXTS[1:2]) * ROWS, return_tensors="pt")["input_ids"].repeat(1, 4)
    runs: dict[str, Any] = {"fp32": encoder}
    for name in names:
        precision = PRECISIONS[name]
        runs[name] = (
            quantised(encoder, tokenizer)
            if precision.quantised
            else copy.deepcopy(encoder).to(precision.dtype)
        )
    least = dict.fromkeys(runs, float("inf"))
    for turn in range(ROUNDS):
        for name, run in runs.items():
            start = time.process_time()
            run(input_ids=ids)
            if turn:  # the first warms up
                least[name] = min(least[name], time.process_time() - start)
    return least


def _remembered(key: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What was measured for a key, in the cache folder, or now; where it cannot be kept, again."""
    file = cache_root() / "precision.json"
    kept: dict[str, dict[str, float]] = {}
    with suppress(OSError, ValueError):
        kept = json.loads(file.read_text(encoding="utf-8"))
    if key not in kept:
        kept[key] = measure()
        with suppress(OSError, UsageError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with writing(file) as opened:
                opened.write(json.dumps(kept, indent=1))
    return kept[key]
