"""Where the projection of late interaction starts over a base whose vectors are for retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.errors import UsageError
from polyrank.late_interaction.marked_text import MarkedText, padded
from polyrank.modules.projection import untrained

BATCH = 32  # texts


@torch.inference_mode()
def pca_projection(
    base: Base,
    texts: Sequence[str],
    dim: int,
    prefix: str | None = None,
    length: int = 128,
) -> Tensor:
    """The projection to `dim` dimensions that changes token similarities least.

    With V the unit hidden states of all tokens of the texts, its rows are the first eigenvectors of
    VᵀV: of all orthonormal W they lose least of the inner products, Σ (v·w − Wv·Ww)² being what the
    other eigenvalues hold. The mean is not taken away, since cosines are not either.

    Args:
        base: a base whose card says that its vectors are for retrieval.
        texts: such as those to be searched; some hundreds are enough.
        dim: at most the base's hidden size H, of which it makes the identity.
        prefix: of the texts; None for that of passages.
        length: tokens of a text that are read.

    Returns:
        (dim, H), orthonormal rows in fp32.

    Raises:
        UsageError: more dimensions than the base has, or fewer tokens than dimensions.
        ModuleError: a base whose vectors are not for retrieval.
    """
    rules = untrained(base).rules
    if dim > rules.dim:
        raise UsageError(
            f"the base '{base.name}' has {rules.dim} dimensions, so a token cannot have {dim}"
        )
    if dim == rules.dim:
        return torch.eye(dim)
    chosen = rules.document_prefix if prefix is None else prefix
    text = MarkedText(base.tokenizer, replace(rules, document_prefix=chosen), length)
    rows, _ = text.documents(sorted(texts, key=len))
    products = torch.zeros(rules.dim, rules.dim, dtype=torch.float64)  # VᵀV
    count = 0
    for start in range(0, len(rows), BATCH):
        ids, attended, scored = padded(
            rows[start : start + BATCH], base.tokenizer.pad_token_id or 0, base.model.device
        )
        states = base.model(input_ids=ids, attention_mask=attended).last_hidden_state[scored]
        vectors = torch.nn.functional.normalize(states.float(), dim=-1).cpu().double()  # (n, H)
        products += vectors.T @ vectors
        count += len(vectors)
    if count < dim:
        raise UsageError(f"{count} tokens of text do not span {dim} dimensions; give more texts")
    _, directions = torch.linalg.eigh(products)  # columns, by ascending eigenvalue
    found = directions.flip(1)[:, :dim].T  # (dim, H)
    largest = found.abs().argmax(dim=1, keepdim=True)
    signs = found.gather(1, largest).sign()  # an eigenvector's own is arbitrary
    return (found * signs).float().contiguous()
