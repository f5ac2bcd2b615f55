"""The loss of hidden tokens under a masked-language head, over the pieces that a text uses.

A multilingual vocabulary has 250,000 pieces, a text in one language a tenth of them. Logits are
computed for these alone, and at hidden tokens alone.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from polyrank.machine import fast_bf16
from polyrank.training.head.output_head import OutputHead
from polyrank.training.language.masking import mask_tokens, masked_loss
from polyrank.training.language.students import Encoding
from polyrank.training.loop.processes import share, shared_mean


class MaskedOutput:
    """A head with some rows of its output embeddings.

    Args:
        head: over the whole vocabulary, on the device of the training.
        words: output embeddings, (V, H); copied, so that those of a base may move.
        used: pieces that are told apart, (U,), increasing.
    """

    def __init__(self, head: OutputHead, words: Tensor, used: Tensor) -> None:
        self.head = head
        self.used = used.to(words.device)
        self.words = words.detach()[self.used].clone()  # (U, H)
        self.place = torch.full((len(words),), -1, device=words.device)
        self.place[self.used] = torch.arange(len(used), device=words.device)

    def __len__(self) -> int:
        return len(self.used)

    def loss(self, encode: Encoding, rows: dict[str, Tensor]) -> Tensor:
        """Mean cross-entropy at the hidden tokens.

        Args:
            encode: what is trained.
            rows: the encoder's inputs, and `labels`, -100 where nothing is hidden.
        """
        inputs = {name: value for name, value in rows.items() if name != "labels"}
        labels = rows["labels"]
        among = torch.where(labels < 0, labels, self.place[labels.clamp(min=0)])

        def logits(hidden: Tensor) -> Tensor:
            found: Tensor = self.head(hidden, self.words, self.used, encode.uncouple)
            return found

        return masked_loss(encode(inputs), among, logits)

    def shared_loss(self, encode: Encoding, rows: dict[str, Tensor]) -> Tensor:
        """The same, each process computing its share of the rows."""
        own = share(rows)
        return shared_mean(self.loss(encode, own), (own["labels"] != -100).sum())


@torch.no_grad()
def perplexity(
    encode: Encoding, output: MaskedOutput, sequences: Tensor, tokenizer: Any, seed: int
) -> float:
    """exp of the mean loss at hidden tokens; every call with one seed hides the same ones."""
    total, count, device = 0.0, 0, output.words.device
    for start in range(0, len(sequences), 16):
        ids, labels = mask_tokens(sequences[start : start + 16], tokenizer, seed + start)
        rows = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_bf16()):
            loss = output.loss(encode, {name: value.to(device) for name, value in rows.items()})
        hidden = int((labels != -100).sum())
        total, count = total + float(loss) * hidden, count + hidden
    return round(math.exp(total / max(count, 1)), 2)
