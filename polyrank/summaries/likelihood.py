"""How likely a sequence-to-sequence model finds a summary: the score of BRIO."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor

from polyrank.base import device_of
from polyrank.base.seq2seq import load_seq2seq, reads
from polyrank.errors import UsageError
from polyrank.notes import Notebook
from polyrank.rerankers.identity import weights_of

BATCH = 8
READS = 1024  # tokens of a source at most
IGNORED = -100  # as the library marks labels that are padding
ADVICE = (
    "Give a folder or Hub id of a sequence-to-sequence model with safetensors, such as "
    "facebook/bart-large-cnn."
)


def length_normalised(log_probabilities: Tensor, real: Tensor, alpha: float) -> Tensor:
    """Σ log p(token) / length^α (BRIO: Liu et al. 2022, arXiv 2203.16804, eq. 9).

    Args:
        log_probabilities: of the tokens of summaries, (B, T).
        real: True where there is a token, (B, T).
        alpha: 0 for the sum, 1 for the mean; above 1 long summaries gain.

    Returns:
        (B,).
    """
    sums = log_probabilities.masked_fill(~real, 0.0).sum(dim=1)
    return sums / real.sum(dim=1).clamp(min=1) ** alpha


@torch.inference_mode()
def scores_of(model: Any, inputs: dict[str, Tensor], labels: Tensor, alpha: float) -> list[float]:
    """The length-normalised log-likelihood of each row of labels.

    Args:
        inputs: ids and mask of the sources, (B, S).
        labels: token ids, padded with `IGNORED`: (B, T).
    """
    logits = model(**inputs, labels=labels).logits.float()  # (B, T, V)
    real = labels != IGNORED
    chosen = logits.log_softmax(dim=-1).gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2)
    found: list[float] = length_normalised(chosen, real, alpha).tolist()
    return found


class Likelihood:
    """Scores summaries of any origin by a model that reads the article.

    `weights` tells whether a model is the same.

    Args:
        model: a folder or Hub id of a sequence-to-sequence model.
        alpha: see `length_normalised`.
        device: by default a GPU when there is one.

    Raises:
        ModuleError: a model that cannot be read.
        UsageError: an alpha that is negative or not finite.
    """

    def __init__(self, model: str, alpha: float = 1.0, device: str | None = None) -> None:
        if not 0 <= alpha < inf:
            raise UsageError(f"--length-penalty is {alpha}; give a finite number, 0 or more")
        self.name, self.alpha = model, alpha
        self.model, self.tokenizer = load_seq2seq(model, "summariser", ADVICE)
        self.model = self.model.to(device_of(device)).eval()
        self.weights = weights_of(model, self.model)
        self.reads = reads(self.model, self.tokenizer, READS)
        self.notebook = Notebook()

    def __call__(self, article: str, summaries: Sequence[str]) -> list[float]:
        """A score for each summary, higher is better; what is cut is counted."""
        self.note_cut("articles", int(any(self.cut([article]))))
        found: list[float] = []
        for first in range(0, len(summaries), BATCH):
            some = list(summaries[first : first + BATCH])
            inputs = self.inputs([article] * len(some))
            self.note_cut("summaries", sum(self.cut(some, "text_target")))
            labels = self.tokenizer(
                text_target=some,
                padding=True,
                truncation=True,
                max_length=self.reads,
                return_tensors="pt",
            )
            ids = labels["input_ids"].masked_fill(labels["attention_mask"] == 0, IGNORED)
            found += scores_of(self.model, inputs, ids.to(self.model.device), self.alpha)
        return found

    def cut(self, texts: Sequence[str], side: str = "text") -> list[bool]:
        """Which texts are longer than what the model reads.

        Args:
            side: 'text' of sources, 'text_target' of summaries.
        """
        rows = self.tokenizer(**{side: list(texts)}, verbose=False)["input_ids"]
        return [len(row) > self.reads for row in rows]

    def note_cut(self, what: str, times: int) -> None:
        """Count articles or summaries that were cut."""
        text = f"{what} cut to the {self.reads} tokens that {self.name} reads"
        self.notebook.add("cut", text, times)

    def inputs(self, sources: list[str]) -> dict[str, Tensor]:
        """Ids and mask of sources, cut to what the model reads."""
        encoded = self.tokenizer(
            sources, padding=True, truncation=True, max_length=self.reads, return_tensors="pt"
        )
        wanted = ("input_ids", "attention_mask")
        return {name: encoded[name].to(self.model.device) for name in wanted}
