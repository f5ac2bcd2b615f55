"""What a base learns from: each step's translations, English sentences, plain text and pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from polyrank.training.masking import mask_tokens
from polyrank.training.steps import Batch
from polyrank.training.text import Pairs


@dataclass(frozen=True)
class Objective:
    """What one step holds, and the weights of the parts.

    pairs: translations aligned. english: English sentences aligned beside them. mono, parallel:
    sequences of MLM and TLM. length, sentence: tokens of a masked sequence and of an aligned
    sentence, the rest is cut. power: languages are drawn by size to this power. negatives: weight
    of the in-batch cross-entropy. temperature: its temperature. masked: weight of MLM + TLM.
    """

    pairs: int = 64
    english: int = 16
    mono: int = 5
    parallel: int = 8
    length: int = 96
    sentence: int = 48
    power: float = 0.5
    negatives: float = 0.3
    temperature: float = 0.05
    masked: float = 0.2


class Batches:
    """Makes the batch of step i from the seed and i alone."""

    window = 8  # steps whose pairs are sorted by length together, so that little is padding

    def __init__(
        self,
        pairs: Pairs,
        text: Mapping[str, Sequence[str]],
        tokenizer: PreTrainedTokenizerFast,
        teacher: PreTrainedTokenizerFast,
        objective: Objective,
        seed: int,
    ) -> None:
        self.pairs, self.text, self.objective, self.seed = pairs, text, objective, seed
        self.tokenizer, self.teacher = tokenizer, teacher
        self.pair_languages, self.pair_shares = self.shares({k: len(v) for k, v in pairs.items()})
        self.text_languages, self.text_shares = self.shares(
            {k: sum(map(len, v)) for k, v in text.items()}
        )

    def shares(self, sizes: Mapping[str, int]) -> tuple[list[str], np.ndarray]:
        names = sorted(sizes)
        weight = np.array([sizes[name] for name in names], float) ** self.objective.power
        return names, weight / weight.sum()

    def draw(self, count: int, random: np.random.Generator) -> list[tuple[str, str]]:
        chosen = random.choice(len(self.pair_languages), count, p=self.pair_shares)
        rows = (self.pairs[self.pair_languages[c]] for c in chosen)
        return [row[random.integers(len(row))] for row in rows]

    def __call__(self, step: int) -> Batch:
        goal = self.objective
        near = np.random.default_rng([self.seed, 0, step // self.window])
        drawn = sorted(self.draw(goal.pairs * self.window, near), key=lambda pair: len(pair[0]))
        place = near.permutation(self.window)[step % self.window]
        chosen = drawn[place * goal.pairs : (place + 1) * goal.pairs]
        random = np.random.default_rng([self.seed, 1, step])
        aligned, plain = self.alignment(chosen, random), self.blocks(random)
        pairs = self.draw(goal.parallel, random)
        return {
            **aligned,
            "mlm": self.masked(plain, None, step),
            "tlm": self.masked([p[0] for p in pairs], [p[1] for p in pairs], step),
        }

    def alignment(self, chosen: list[tuple[str, str]], random: np.random.Generator) -> Batch:
        goal, english = self.objective, self.text["en"]
        half = goal.english // 2
        lone = [english[int(random.integers(len(english)))][:160] for _ in range(half)]
        lone += [chosen[i][1] for i in random.choice(len(chosen), half, replace=False)]
        targets = list(dict.fromkeys([pair[1] for pair in chosen] + lone))
        place = {text: row for row, text in enumerate(targets)}
        students = [(text, place[target]) for text, target in chosen]
        students_en = [(text, place[text]) for text in lone]
        return {
            "translation": self.encode([text for text, _ in students]),
            "english": self.encode([text for text, _ in students_en]),
            "teacher": self.encode(targets, self.teacher),
            "target": torch.tensor([row for _, row in students + students_en]),
        }

    def encode(self, texts: list[str], tokenizer: PreTrainedTokenizerFast | None = None) -> Batch:
        tool = tokenizer or self.tokenizer
        rows = tool(
            texts,
            truncation=True,
            max_length=self.objective.sentence,
            padding=True,
            return_tensors="pt",
        )
        return {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}

    def blocks(self, random: np.random.Generator) -> list[str]:
        """Runs of neighbouring lines, each long enough to fill one sequence."""
        runs = []
        for c in random.choice(len(self.text_languages), self.objective.mono, p=self.text_shares):
            rows = self.text[self.text_languages[c]]
            start, run = int(random.integers(len(rows))), ""
            while len(run) < 6 * self.objective.length and start < len(rows):
                run, start = run + " " + rows[start], start + 1
            runs.append(run.strip())
        return runs

    def masked(self, first: Sequence[str], second: Sequence[str] | None, step: int) -> Batch:
        rows = self.tokenizer(
            list(first),
            list(second) if second is not None else None,
            truncation=True,
            max_length=self.objective.length,
            padding=True,
            return_tensors="pt",
        )
        ids, labels = mask_tokens(
            rows["input_ids"], self.tokenizer, hash((self.seed, step)) % 2**31
        )
        return {
            "input_ids": ids,
            "labels": labels,
            "attention_mask": rows["attention_mask"],
            "token_type_ids": rows["token_type_ids"],
        }
