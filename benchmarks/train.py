"""Training tokens a second: a language adapter by masked language modelling, beside `adapters`.

    python benchmarks/train.py --text ky.txt --language ky --output benchmarks/results/train.json

Both train an adapter with an invertible layer of the same width over the same base on the same
packed sequences, without padding. The peer is the `adapters` library's model under Hugging Face's
`run_mlm` recipe: logits over the whole vocabulary at every token. polyrank computes them at hidden
tokens, over the pieces that the text uses. They take turns; medians of CPU seconds a step, after
one that warms up: others may use the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import adapters
import torch
from torch import Tensor
from transformers import BertForMaskedLM, DataCollatorForLanguageModeling

from polyrank.base import load_base
from polyrank.machine import machine
from polyrank.training.kinds.contract import Shape
from polyrank.training.language.language_batches import blocks
from polyrank.training.language.recipe import LanguageRecipe
from polyrank.training.language.train_language import LanguageTraining
from polyrank.training.loop.run import Place

REDUCTION, RATE = 8, 1e-3
Step = Callable[[int], Tensor]


def ours(options: argparse.Namespace) -> Step:
    recipe = LanguageRecipe(
        "e5-small",
        options.language,
        options.text,
        batch_size=options.batch_size,
        length=options.length,
        shape=Shape(REDUCTION),
    )
    place = Place(Path(tempfile.mkdtemp()) / options.language)
    training = LanguageTraining(recipe, place)
    lesson = training.prepare(training.build(), place)
    lesson.model.train()
    optimizer = torch.optim.AdamW([p for p in lesson.model.parameters() if p.requires_grad], RATE)

    def step(number: int) -> Tensor:
        loss: Tensor = lesson.loss(lesson.model, lesson.batches(number))
        return updated(loss, optimizer)

    return step


def peer(options: argparse.Namespace) -> Step:
    base = load_base("e5-small")
    model = BertForMaskedLM(base.model.config)
    model.bert.load_state_dict(base.model.state_dict(), strict=False)
    model.tie_weights()
    adapters.init(model)
    model.add_adapter("own", config=adapters.SeqBnInvConfig(reduction_factor=REDUCTION))
    model.train_adapter("own")
    lines = options.text.read_text(encoding="utf-8").splitlines()
    sequences = blocks(lines, base.tokenizer, options.length)
    collator = DataCollatorForLanguageModeling(base.tokenizer, seed=0)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], RATE)
    model.train()

    def step(number: int) -> Tensor:
        start = number * options.batch_size % max(1, len(sequences) - options.batch_size)
        rows = sequences[start : start + options.batch_size].tolist()
        return updated(model(**collator([{"input_ids": row} for row in rows])).loss, optimizer)

    return step


def updated(loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="a sentence a line")
    parser.add_argument("--language", required=True)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--remark", default="", help="what else the machine did")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    steps = {"polyrank": ours(options), "adapters, run_mlm": peer(options)}
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(options.steps + 1):
        for name, step in steps.items():
            start = time.process_time()
            loss = step(number)
            spent[name].append(time.process_time() - start)
            print(f"{name}: step {number}, loss {float(loss):.3f}, {spent[name][-1]:.2f} s")
    tokens = options.batch_size * options.length
    middle = {name: median(values[1:]) for name, values in spent.items()}
    result = {
        "machine": machine(),
        "load_average": os.getloadavg()[0],
        "remark": options.remark,
        "threads": options.threads,
        "tokens_a_step": tokens,
        "tokens_a_cpu_second": {name: tokens / value for name, value in middle.items()},
        "times_as_fast": middle["adapters, run_mlm"] / middle["polyrank"],
        "cpu_seconds": spent,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["tokens_a_cpu_second"]), f"{result['times_as_fast']:.2f}")


if __name__ == "__main__":
    main()
