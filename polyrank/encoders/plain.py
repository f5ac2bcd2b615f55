"""A base's encoder as it is, without modules: what dense retrieval pools."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from polyrank.base import Base, device_of
from polyrank.base.pooling import pooled
from polyrank.encoders.batching import usual_tokens
from polyrank.encoders.fastest import DENSE, settled
from polyrank.encoders.masked import MaskedEncoder
from polyrank.encoders.packed import spans_of
from polyrank.encoders.routed import packing
from polyrank.encoders.tokens import padded
from polyrank.notes import Notebook


class PlainEncoder:
    """Pools texts under no module.

    Args:
        base: of any architecture that Hugging Face's `AutoModel` runs.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        precision: a name in `PRECISIONS`, or 'auto'; by default fp32.
        notebook: gets a note of what 'auto' chose.

    Raises:
        UsageError: an unknown precision, or int8 where it cannot run.
    """

    def __init__(
        self,
        base: Base,
        device: str | None = None,
        precision: str | None = None,
        notebook: Notebook | None = None,
    ) -> None:
        self.base, self.device = base, device_of(device)
        self.precision = settled(
            precision, DENSE, base, base.model, self.device, notebook or Notebook()
        )
        masked = MaskedEncoder(base.model, self.device, self.precision, base.tokenizer)
        self.encoder, self.usual_tokens = masked.encoder, usual_tokens(self.device)
        self._packing = packing(self.encoder)

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Unit vectors of rows of token ids, fp32 on the CPU: (B, H)."""
        pad = self.base.tokenizer.pad_token_id or 0
        mask = padded([[1] * len(row) for row in rows], 0, self.device)  # (B, T)
        if self._packing is None:
            ids = padded(rows, pad, self.device)
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        else:
            flat = torch.tensor([token for row in rows for token in row])
            tokens = self._packing.packed(flat, spans_of([len(row) for row in rows])).float()
            states = tokens.new_zeros(*mask.shape, tokens.shape[-1])  # (B, T, H)
            states[mask.bool()] = tokens
        vectors = pooled(states, mask, self.base.card.pooling)  # (B, H)
        return torch.nn.functional.normalize(vectors, dim=1).cpu()
