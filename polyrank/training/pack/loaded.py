"""A pack in memory, on the device that trains."""

from __future__ import annotations

import copy
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from polyrank.encoders.routed import RoutedEncoder
from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.training.language.mean_pool import mean_pool
from polyrank.training.pack.cut import read_cut
from polyrank.training.pack.ragged import Ragged


class Pack:
    """What `collect` wrote.

    Args:
        folder: of the pack.
        device: where tokens and the encoder lie.

    Attributes:
        encoder: the base with its embeddings cut, frozen, in fp32.
        facts, tables: as `collect` wrote them.
    """

    def __init__(self, folder: str | Path, device: str | torch.device) -> None:
        from transformers import BertConfig, BertModel

        self.folder, self.device = Path(folder), torch.device(device)
        self.facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_text())
        with np.load(self.folder / "tables.npz") as stored:
            self.tables = {name: torch.from_numpy(stored[name].astype(np.int64)) for name in stored}
        config, state = read_cut(self.folder / "base")
        config = {key: value for key, value in config.items() if not key.startswith("_attn")}
        made = BertConfig(**config)
        made._attn_implementation = "sdpa"
        self.encoder = BertModel(made, add_pooling_layer=False).eval()
        self.encoder.load_state_dict(state, strict=False)
        self.encoder.to(self.device).requires_grad_(False)
        special = self.facts["special"]
        self.first, self.pad, self.last, self.mask = (
            special[token] for token in ("<s>", "<pad>", "</s>", "<mask>")
        )
        self._read: dict[str, Ragged] = {}

    def texts(self, name: str) -> Ragged:
        """The sequences of a file, on the device."""
        if name not in self._read:
            self._read[name] = Ragged.load(self.folder / f"{name}.xz").to(self.device)
        return self._read[name]

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.xz").is_file()

    @cached_property
    def counts(self) -> Tensor:
        """How often the pack's text has each piece, (V,)."""
        return torch.from_numpy(np.load(self.folder / "counts.npy").astype(np.int64))

    @cached_property
    def half(self) -> Any:
        """A copy of the encoder in bf16, for ranking modules: half the memory traffic."""
        return copy.deepcopy(self.encoder).to(torch.bfloat16)

    @property
    def words(self) -> Tensor:
        """The cut word embeddings, (V, H)."""
        table: Tensor = self.encoder.embeddings.word_embeddings.weight
        return table

    # ------------------------------------------------------------------------------- encoding

    def framed(self, ids: Tensor, real: Tensor, side: str | None) -> tuple[Tensor, Tensor, Tensor]:
        """`<s> prefix text </s>` around bare ids.

        Args:
            ids, real: (B, L), from `Ragged.rows`.
            side: 'query' or 'passage', whose prefix is put before; None for none.

        Returns:
            ids, which of them are live, and which are of the text itself, each (B, L + P + 2).
        """
        batch = len(ids)
        prefix = self.facts["prefixes"][side] if side else []
        before = torch.tensor([self.first, *prefix], device=ids.device).expand(batch, -1)
        after = torch.full((batch, 1), self.pad, device=ids.device)
        filled = torch.cat([before, ids.masked_fill(~real, self.pad), after], dim=1)
        end = before.shape[1] + real.sum(1)  # (B,) where </s> goes
        filled.scatter_(1, end[:, None], self.last)
        places = torch.arange(filled.shape[1], device=ids.device)[None, :]
        own = (places >= before.shape[1]) & (places < end[:, None])
        return filled, places <= end[:, None], own

    def runner(self, adapter: AdapterModule | None = None) -> RoutedEncoder:
        """The encoder with an adapter over all tokens."""
        return RoutedEncoder(self.encoder, [], adapter)

    @torch.no_grad()
    def vectors(
        self,
        texts: Ragged,
        side: str,
        adapter: AdapterModule | None = None,
        limit: int = 250,
        budget: int | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """Pooled unit vectors of texts, (N, H), encoded in order of length.

        Args:
            budget: tokens of a batch; by default many on a GPU and few on a CPU.
        """
        budget = budget or (65536 if self.device.type == "cuda" else 4096)
        runner = self.runner(adapter)
        index = torch.arange(len(texts)) if index is None else index
        lengths = texts.lengths()[index].clamp(max=limit)
        order = torch.argsort(lengths, descending=True)
        found = torch.zeros(len(index), self.words.shape[1], device=self.device)
        start = 0
        while start < len(order):
            count = max(1, budget // (int(lengths[order[start]]) + 6))
            part = order[start : start + count]
            ids, live, _ = self.framed(*texts.rows(index[part], limit), side)
            hidden = runner.differentiable(ids, live)
            found[part.to(self.device)] = mean_pool(hidden, live)
            start += count
        return found

    def states(
        self, ids: Tensor, real: Tensor, side: str, runner: RoutedEncoder
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Hidden states (B, L, H), live tokens, tokens of the text itself, pooled vectors."""
        framed, live, own = self.framed(ids, real, side)
        hidden = runner.differentiable(framed, live)
        return hidden, live, own, mean_pool(hidden, live)


def unit(hidden: Tensor) -> Tensor:
    """Token vectors of length 1, in fp32."""
    return F.normalize(hidden.float(), dim=-1)
