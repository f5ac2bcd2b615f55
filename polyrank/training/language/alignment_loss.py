"""Losses that bring a language's sentences to where the frozen base puts their translations.

Teacher and student are one encoder: the base without modules encodes the English side, the base
with the language's module the other (multilingual knowledge distillation, Reimers & Gurevych 2020,
arXiv 2004.09813, with a module as the student).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sentence_distance(sentences: Tensor, english: Tensor) -> Tensor:
    """Mean squared distance of unit vectors, both (B, H): a scalar from 0 to 4."""
    return (sentences - english).square().sum(-1).mean()


def sentence_contrast(sentences: Tensor, english: Tensor, temperature: float = 0.05) -> Tensor:
    """Cross-entropy of each sentence's own translation among those of the batch.

    Args:
        sentences, english: unit vectors, (B, H).
        temperature: that cosines are divided by.
    """
    logits = sentences @ english.T / temperature  # (B, B)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def token_contrast(
    tokens: Tensor,
    real: Tensor,
    english: Tensor,
    english_real: Tensor,
    temperature: float = 0.02,
) -> Tensor:
    """The same over MaxSim: for each token its nearest English token, averaged over the tokens.

    Args:
        tokens, english: unit vectors, (B, L, H) and (B, M, H).
        real, english_real: which tokens count, (B, L) and (B, M).
        temperature: that mean similarities are divided by.
    """
    flat = english.flatten(0, 1)  # (B·M, H)
    similar = torch.einsum("blh,mh->blm", tokens, flat)
    similar = similar.masked_fill(~english_real.flatten()[None, None, :], -1.0)
    best = similar.unflatten(-1, english.shape[:2]).amax(-1)  # (B, L, B)
    weight = real[..., None].to(best.dtype)
    mean = (best * weight).sum(1) / weight.sum(1).clamp_min(1)  # (B, B)
    return F.cross_entropy(mean / temperature, torch.arange(len(mean), device=mean.device))
