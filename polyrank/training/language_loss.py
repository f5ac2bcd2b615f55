"""The loss of a language module, and the perplexity that it is measured by."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from polyrank.training.language_model import MaskedHead
from polyrank.training.masking import mask_tokens, masked_loss
from polyrank.training.pooling import mean_pool
from polyrank.training.steps import Batch, fast_bf16


class LanguageLoss:
    """MLM, and with pairs TLM + 10 × the squared distance to the English side, as `frozen` (the
    plain base) encodes it."""

    def __init__(self, head: MaskedHead, frozen: Any, alignment: float = 10.0) -> None:
        self.head, self.frozen, self.alignment = head, frozen, alignment

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        loss = self.language(model, batch["text"])
        if "pair" in batch:
            loss = (loss + self.language(model, batch["pair"])) / 2
            loss = loss + self.alignment * self.distance(model, batch)
        return loss

    def language(self, model: Any, rows: Batch) -> Tensor:
        inputs = {k: v for k, v in rows.items() if k != "labels"}
        return masked_loss(model.base_model(**inputs).last_hidden_state, rows["labels"], self.head)

    def distance(self, model: Any, batch: Batch) -> Tensor:
        """Mean squared distance of unit vectors, per sentence."""
        with torch.no_grad():
            hidden = self.frozen.to(model.device)(**batch["english"]).last_hidden_state
            target = mean_pool(hidden, batch["english"]["attention_mask"])
        hidden = model.base_model(**batch["sentence"]).last_hidden_state
        mine = mean_pool(hidden, batch["sentence"]["attention_mask"])
        return (mine - target).square().sum(-1).mean()


@torch.inference_mode()
def perplexity(model: Any, head: MaskedHead, sequences: Tensor, tokenizer: Any, seed: int) -> float:
    """exp of the mean loss at hidden tokens; every call with one seed hides the same ones."""
    was_training, total, count = model.training, 0.0, 0
    model.eval()
    for start in range(0, len(sequences), 16):
        ids, labels = mask_tokens(sequences[start : start + 16], tokenizer, seed + start)
        ids, labels = ids.to(model.device), labels.to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=fast_bf16()):
            hidden = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))
            loss = masked_loss(hidden.last_hidden_state, labels, head)
        hidden_tokens = int((labels != -100).sum())
        total, count = total + float(loss) * hidden_tokens, count + hidden_tokens
    model.train(was_training)
    return round(math.exp(total / max(count, 1)), 2)
