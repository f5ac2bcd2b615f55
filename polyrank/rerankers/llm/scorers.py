"""The table of scorers: what each does, its class, its prompts and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Option:
    """An option of a scorer: an argument of its class, with its type, default and help."""

    type: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScorerEntry:
    """A scorer.

    module, name: where its class is; imported when it is first used.
    pointwise: whether it scores each document by itself.
    generates: whether its default prompt lets the model write.
    """

    help: str
    module: str
    name: str
    prompt: str
    options: Mapping[str, Option]
    pointwise: bool = False
    generates: bool = False

    def load(self) -> type:
        """The class."""
        found: type = getattr(import_module(f"polyrank.rerankers.llm.{self.module}"), self.name)
        return found


WINDOW = Option(int, 20, "Documents in one prompt.")
STEP = Option(int, 10, "By how many documents the window moves, from the tail to the head.")

# Options of every scorer.
SHARED: Mapping[str, Option] = {
    "document_tokens": Option(int, None, "Tokens of a document that are read; else by the prompt."),
    "max_tokens": Option(int, None, "Tokens of an answer, at most; else by the prompt."),
    "temperature": Option(float, 0.0, "Of generated answers; 0 takes the likeliest token."),
    "seed": Option(int, 0, "Of answers with a temperature."),
    "at_once": Option(int, 1, "Queries whose prompts are run together."),
}

# Options of what runs the model, besides its own options of the command line.
ENGINE: Mapping[str, Option] = {
    "instruction": Option(str, None, "In place of the prompt's {instruction}."),
    "tokenizer": Option(str, None, "Behind a server: folder or Hub id of the tokenizer."),
    "context": Option(int, None, "Tokens of a prompt and its answer."),
    "concurrency": Option(int, 8, "Requests to a server at a time."),
    "timeout": Option(float, 120.0, "Seconds that a server may take."),
    "retries": Option(int, 5, "Tries after a server failed."),
    "top_logprobs": Option(int, 20, "Log-probabilities that a server gives."),
    "batch_tokens": Option(int, 16384, "Tokens in a batch, in this process."),
    "share_prefix": Option(bool, True, "Whether a shared beginning is computed once."),
}

SCORERS: Mapping[str, ScorerEntry] = {
    "label": ScorerEntry(
        "logit of a word for relevant, less that of one for not relevant",
        "label", "LabelReranker", "label",
        {
            "true": Option(str, None, "The word for relevant; else the prompt's."),
            "false": Option(str, None, "The word for not relevant; empty for the true one alone."),
        },
        pointwise=True,
    ),
    "integers": ScorerEntry(
        "a grade for each document, by its probability",
        "integers", "IntegerReranker", "integers", {}, pointwise=True,
    ),
    "letters": ScorerEntry(
        "the order of a window from the logits of one token",
        "letters", "LetterReranker", "letters", {"window": WINDOW, "step": STEP},
    ),
    "setwise": ScorerEntry(
        "picks of the best of a window, and a sort",
        "setwise", "SetwiseReranker", "setwise",
        {
            "window": WINDOW,
            "top": Option(int, 10, "How many places are sorted out."),
            "sort": Option(str, "heap", "How.", ("heap", "tournament")),
        },
    ),
    "groupwise": ScorerEntry(
        "grades of 0 to 10 for a shuffled group at a time",
        "groupwise", "GroupwiseReranker", "groupwise",
        {
            "window": Option(int, 20, "Documents in a group."),
            "repeats": Option(int, 1, "Shuffles whose grades are averaged."),
            "shuffle_seed": Option(int, 0, "Of the shuffles."),
        },
        generates=True,
    ),
    "listwise": ScorerEntry(
        "permutations that the model writes",
        "listwise", "ListwiseReranker", "listwise", {"window": WINDOW, "step": STEP},
        generates=True,
    ),
    "insertrank": ScorerEntry(
        "permutations, with the first stage's scores in the prompt",
        "insertrank", "InsertRankReranker", "insertrank", {"window": WINDOW, "step": STEP},
        generates=True,
    ),
    "selector": ScorerEntry(
        "a pseudo-answer, and the subset of documents that helped",
        "selector", "SelectorReranker", "selector",
        {
            "window": WINDOW,
            "carry": Option(int, 10, "Chosen documents that go on to the next window, at most."),
        },
        generates=True,
    ),
    "evidence": ScorerEntry(
        "yes or no, then what the document contributes and its evidence by itself",
        "evidence", "EvidenceReranker", "evidence",
        {
            "true": Option(str, None, "The word for relevant; else the prompt's."),
            "false": Option(str, None, "The word for not relevant."),
            "threshold": Option(float, 0.0, "Score above which the model writes on."),
        },
        pointwise=True, generates=True,
    ),
}  # fmt: skip
