"""What it costs to mix languages in a batch, against doing without.

    python benchmarks/routed_adapter.py --output benchmarks/results/routed_adapter.json

The same token ids every time, with the bundled base and ten bundled language adapters under the
bundled ranking adapter; only the module of each row (or of each side of a row) differs. First
parity: the mixed batch against each language alone in float64. Then all ways in turn, round after
round; medians, and ratios to one language. On a CPU it is one thread and its own CPU time, so that
other work on the machine counts little; on a GPU it is wall time.

The `adapters` library's BatchSplit takes rows sorted by language. It runs the first language's
invertible layer for all of them, so that its scores differ by what that changes; its time compares.

On a GPU the layer part times the grouped launch; on a CPU the loop of `polyrank.encoders.routed`.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from adapters import AutoAdapterModel
from adapters.composition import BatchSplit, Stack
from torch import Tensor

from polyrank.base import DEFAULT_BASE, load_base
from polyrank.encoders.routed import RoutedEncoder, score
from polyrank.kernels.routed_adapter import add_adapters, assign, stack_adapters
from polyrank.machine import machine
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.zoo.find import find

LANGUAGES = ("de", "en", "es", "fi", "ky", "ru", "sw", "tr", "ug", "zh")
SEED = 0
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def engine(dtype: torch.dtype, device: str) -> RoutedEncoder:
    base = load_base(DEFAULT_BASE)
    languages = [
        load_adapter_module(find(DEFAULT_BASE, "language", "adapter", x)) for x in LANGUAGES
    ]
    ranking = load_adapter_module(find(DEFAULT_BASE, "ranking", "adapter", "squad"))
    model = copy.deepcopy(base.model).to(device, dtype)
    return RoutedEncoder(model, languages, ranking)


def batch(rows: int, length: int, device: str) -> dict[str, Tensor]:
    """Random ids without padding; the document starts a quarter into each row."""
    generator = torch.Generator().manual_seed(SEED)
    ids = torch.randint(1000, 20000, (rows, length), generator=generator)
    types = (torch.arange(length) >= length // 4).long().expand(rows, length)
    sizes = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": types}
    return {name: value.contiguous().to(device) for name, value in sizes.items()}


def parity(rows: int, length: int, device: str, dtype: torch.dtype) -> float:
    """Largest difference of a first token's state between the mixed batch and float64 alone."""
    texts, module = batch(rows, length, device), torch.arange(rows, device=device) % len(LANGUAGES)
    exact, ours = engine(torch.float64, device), engine(dtype, device)
    mixed = ours(**texts, module_index=module[:, None].expand(rows, length))[:, 0]
    worst = 0.0
    for row in range(rows):
        alone = {name: value[row : row + 1] for name, value in texts.items()}
        index = module[row].expand(1, length)
        worst = max(
            worst, float((exact(**alone, module_index=index)[:, 0] - mixed[row]).abs().max())
        )
    return worst


def whole_encoders(rows: int, length: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Ways to score a batch, by name."""
    ours, texts = engine(dtype, device), batch(rows, length, device)
    head = ours.ranking.head if ours.ranking else None
    row_module = torch.arange(rows, device=device) % len(LANGUAGES)  # neighbours differ
    index = row_module[:, None].expand(rows, length)
    sides = torch.where(texts["token_type_ids"] == 0, index, (index + 3) % len(LANGUAGES))
    members = [(row_module == number).nonzero().squeeze(1) for number in range(len(LANGUAGES))]

    def routed(module: Tensor) -> Tensor:
        return score(ours(**texts, module_index=module), head)

    def routed_by_language() -> Tensor:
        scores = torch.empty(rows, device=device)
        for number, member in enumerate(members):
            part = {name: value[member] for name, value in texts.items()}
            alone = torch.full((len(member), length), number, device=device)
            scores[member] = score(ours(**part, module_index=alone), head)
        return scores

    library = library_model(device, dtype)
    order = torch.cat(members)
    ordered = {name: value[order] for name, value in texts.items()}

    def library_batch_split() -> Tensor:
        sizes = [len(member) for member in members]
        library.active_adapters = Stack(BatchSplit(*LANGUAGES, batch_sizes=sizes), "squad")
        scores = torch.empty(rows, device=device)
        scores[order] = library(**ordered).logits.squeeze(1).float()
        return scores

    def library_by_language() -> Tensor:
        scores = torch.empty(rows, device=device)
        for language, member in zip(LANGUAGES, members, strict=True):
            library.active_adapters = Stack(language, "squad")
            part = {name: value[member] for name, value in texts.items()}
            scores[member] = library(**part).logits.squeeze(1).float()
        return scores

    def library_one() -> Tensor:
        library.active_adapters = Stack("en", "squad")
        return library(**texts).logits.squeeze(1).float()

    return {
        "one language": lambda: routed(torch.ones_like(index)),
        "ten languages, by row": lambda: routed(index),
        "ten languages, by side": lambda: routed(sides),
        "ten languages, one after the other": routed_by_language,
        "adapters: one language": library_one,
        "adapters: ten, sorted rows, BatchSplit": library_batch_split,
        "adapters: ten, one after the other": library_by_language,
    }


def library_model(device: str, dtype: torch.dtype) -> Any:
    model = AutoAdapterModel.from_pretrained(str(load_base(DEFAULT_BASE).folder))
    for language in LANGUAGES:
        folder = find(DEFAULT_BASE, "language", "adapter", language)
        model.load_adapter(str(folder), load_as=language, use_safetensors=True)
    folder = find(DEFAULT_BASE, "ranking", "adapter", "squad")
    model.load_adapter(str(folder), load_as="squad", use_safetensors=True)
    return model.to(device, dtype).eval()


def layers(tokens: int, device: str, dtype: torch.dtype) -> dict[str, Callable[[], Any]]:
    """Ways to run one layer's language adapters over so many tokens, by name."""
    ours = engine(dtype, device)
    adapters = [(m.output[0].down, m.output[0].up) for m in ours.languages if m]
    stack = stack_adapters(adapters, "relu")
    assert stack is not None
    width = adapters[0][0][0].shape[1]
    z, onto = (torch.randn(tokens, width, device=device).to(dtype) for _ in range(2))
    module = torch.arange(tokens, device=device) % len(adapters)
    mixed, single = assign(module, len(adapters)), assign(torch.zeros_like(module), len(adapters))
    members = [(module == number).nonzero().squeeze(1) for number in range(len(adapters))]

    def dense(x: Tensor, number: int) -> Tensor:
        down, up = adapters[number]
        return torch.nn.functional.linear(torch.nn.functional.linear(x, *down).relu(), *up)

    def loop() -> None:
        for number, member in enumerate(members):
            onto.index_add_(0, member, dense(z.index_select(0, member), number))

    return {
        "one language, dense": lambda: onto.add_(dense(z, 0)),
        "ten languages, Python loop": loop,
        "one language, add_adapters": lambda: add_adapters(z, onto, stack, single),
        "ten languages, add_adapters": lambda: add_adapters(z, onto, stack, mixed),
    }


@torch.inference_mode()
def timed(ways: dict[str, Callable[[], Any]], rounds: int, device: str) -> dict[str, Any]:
    """Medians in ms and their ratios to the first way; each way once per round."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            _wait(device)
            start = clock()
            way()
            _wait(device)
            if number:  # the first round warms up
                seconds[name].append(clock() - start)
    first = median(seconds[next(iter(ways))])
    return {
        name: {
            "ms": round(1000 * median(times), 2),
            "ratio to one language": round(median(times) / first, 2),
            "fastest ms": round(1000 * min(times), 2),
        }
        for name, times in seconds.items()
    }


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    cuda = torch.cuda.is_available()
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16" if cuda else "float32")
    parser.add_argument("--rows", type=int, default=1000 if cuda else 20)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=50 if cuda else 9)
    options = parser.parse_args()
    dtype, place = DTYPES[options.dtype], options.device
    if place == "cpu":
        torch.set_num_threads(1)
    ways = whole_encoders(options.rows, options.length, place, dtype)
    with torch.inference_mode():
        right = ways["ten languages, one after the other"]()
        differences = {
            name: float((way() - right).abs().max()) for name, way in ways.items() if "ten" in name
        }
    del differences["ten languages, by side"]  # another question, so another answer
    result = {
        "machine": machine(),
        "device": torch.cuda.get_device_name() if place == "cuda" else "cpu",
        "dtype": options.dtype,
        "seed": SEED,
        "clock": "wall" if place == "cuda" else "CPU time of one thread",
        "rows": options.rows,
        "tokens per row": options.length,
        "largest difference to float64, state of the first token": parity(20, 32, place, dtype),
        "largest difference of scores to one language after the other": differences,
        "encoder": timed(ways, options.rounds, place),
        "layer": timed(layers(options.rows * options.length, place, dtype), options.rounds, place),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
