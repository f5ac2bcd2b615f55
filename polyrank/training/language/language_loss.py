"""The loss of a language module: the weighted sum that an objective asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from polyrank.training.language.language_objective import Objective
from polyrank.training.language.masked_output import MaskedOutput
from polyrank.training.language.mean_pool import mean_pool
from polyrank.training.language.students import Encoding
from polyrank.training.loop.precision import full_precision
from polyrank.training.loop.processes import gather, share
from polyrank.training.loop.steps import Batch


@dataclass(frozen=True)
class Aligned:
    """A batch of sentences as both sides encode them.

    Attributes:
        pooled, target: unit vectors, (B, H), of the sentences and of their English.
        tokens, own: unit vectors, (B, L, H), and which of them are of the text itself.
        english, english_own: the same of the English side; None where no loss asks for it.
    """

    pooled: Tensor
    target: Tensor
    tokens: Tensor
    own: Tensor
    english: Tensor | None
    english_own: Tensor | None


class LanguageLoss:
    """The loss of a student on a batch of `language_batches.Batches`.

    Args:
        objective: which losses.
        output: the masked-language head; None where no loss hides tokens.
        frozen: the base; None where no loss asks for the English side's tokens.
    """

    def __init__(
        self, objective: Objective, output: MaskedOutput | None, frozen: Encoding | None
    ) -> None:
        self.objective, self.output, self.frozen = objective, output, frozen

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        aligned = self.aligned(model, batch) if self.objective.aligned else None
        total = torch.zeros((), device=next(model.parameters()).device)
        for term in self.objective.terms:
            named = term.named
            if named.compare is not None:
                with full_precision(total.device):
                    loss = named.compare(aligned, **term.parameters)
            else:
                assert self.output is not None and named.hides_in is not None
                loss = self.output.shared_loss(model, batch[named.hides_in])
            total = total + term.weight * loss
        return total

    def aligned(self, model: Any, batch: Batch) -> Aligned:
        """Each process encodes its share of both sides; all compare the whole batch."""
        own = share(batch["sentence"])
        hidden = model(own)  # (own rows, L, H)
        english = None
        if "english" in batch:
            assert self.frozen is not None
            english = gather(F.normalize(self.frozen(share(batch["english"])).float(), dim=-1))
        return Aligned(
            gather(mean_pool(hidden, own["attention_mask"])),
            batch["target"],
            gather(F.normalize(hidden.float(), dim=-1)),
            batch["own"],
            english,
            batch.get("english own"),
        )
