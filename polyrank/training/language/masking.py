"""Masked language modelling: which tokens are hidden, and the loss at those places alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast


def mask_tokens(
    ids: Tensor, tokenizer: PreTrainedTokenizerFast, seed: int, share: float = 0.15
) -> tuple[Tensor, Tensor]:
    """Hides a share of the tokens, 80/10/10 mask/random/kept (Devlin et al. 2019, §3.1).

    Args:
        ids: (B, L) token ids; special and padding tokens are never hidden.
        seed: the same seed hides the same tokens.

    Returns:
        (masked ids (B, L), labels (B, L) with -100 where nothing was hidden).
    """
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=share)
    collator.generator = torch.Generator().manual_seed(seed)
    return collator.torch_mask_tokens(ids.clone(), special)


def masked_loss(hidden: Tensor, labels: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    """Cross-entropy at the hidden places; the vocabulary logits are computed there only.

    Args:
        hidden: (B, L, H) encoder output.
        labels: (B, L), -100 where nothing was hidden.
        head: (N, H) → (N, V) logits.
    """
    chosen = labels != -100
    if not chosen.any():
        return hidden.sum() * 0.0
    return F.cross_entropy(head(hidden[chosen]).float(), labels[chosen])
