"""The joint loss of a base: alignment to the teacher, MLM and TLM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from polyrank.training.base_batches import Objective
from polyrank.training.masking import masked_loss
from polyrank.training.pooling import mean_pool
from polyrank.training.steps import Batch


class JointLoss:
    """Alignment + MLM + TLM of a `BertForMaskedLM` under a frozen teacher."""

    def __init__(self, teacher: Any, objective: Objective) -> None:
        self.teacher, self.objective = teacher.eval().requires_grad_(False), objective

    def pooled(self, encoder: Any, rows: Batch) -> Tensor:
        return mean_pool(encoder(**rows).last_hidden_state, rows["attention_mask"])

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        goal = self.objective
        with torch.no_grad():
            teacher = self.pooled(self.teacher.to(batch["target"].device), batch["teacher"])
        student = torch.cat(
            [self.pooled(model.bert, batch[side]) for side in ("translation", "english")]
        )
        squared = (student - teacher[batch["target"]]).square().sum(-1).mean()
        contrast = F.cross_entropy(student @ teacher.T / goal.temperature, batch["target"])
        masked = student.new_zeros(())
        for name in ("mlm", "tlm"):
            rows = {k: v for k, v in batch[name].items() if k != "labels"}
            hidden = model.bert(**rows).last_hidden_state
            masked = masked + masked_loss(hidden, batch[name]["labels"], model.cls)
        return squared + goal.negatives * contrast + goal.masked * masked / 2
