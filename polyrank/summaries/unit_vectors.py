"""A vector for each unit of a text, in its context: the mean of its tokens' states in the base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from polyrank.base import Base, device_of
from polyrank.encoders.tokens import position_limit
from polyrank.notes import Notebook
from polyrank.summaries.units import Span

AT_ONCE = 8  # windows in a batch
SPARE = 2  # tokens: a window may have some more than the same piece has within its text


class UnitEncoder:
    """Runs the base over a text, in as many windows as it needs; each begins at a unit.

    A unit of which some tokens are not read, since it is longer than what the base reads, is
    counted in the notebook.

    Args:
        base: as it is; nothing in it moves.
        notebook: gets what was cut.
        device: by default a GPU when there is one.
    """

    def __init__(self, base: Base, notebook: Notebook, device: str | None = None) -> None:
        self.base, self.notebook = base, notebook
        self.device = device_of(device)
        self.model = base.model.to(self.device)
        self.limit = min(base.card.length, position_limit(base.model.config))
        fixed = base.tokenizer(base.card.passage_prefix)["input_ids"]
        self.room = max(1, self.limit - len(fixed) - SPARE)

    @torch.inference_mode()
    def __call__(self, text: str, units: Sequence[Span]) -> Tensor:
        """Vectors in fp32 on the CPU: (U, H); 0 for a unit of which no token was read."""
        windows = list(self._windows(text, units))
        sums = torch.zeros(len(units), self.base.model.config.hidden_size)  # (U, H)
        counts = torch.zeros(len(units))
        for first in range(0, len(windows), AT_ONCE):
            some = windows[first : first + AT_ONCE]
            states, owners = self._states(text, units, some)  # (B, L, H), (B, L)
            owned = owners >= 0
            sums.index_add_(0, owners[owned], states[owned])
            counts.index_add_(0, owners[owned], torch.ones(int(owned.sum())))
        return sums / counts.clamp(min=1).unsqueeze(1)

    def _windows(self, text: str, units: Sequence[Span]) -> Iterator[tuple[int, int]]:
        """The first unit of each window, and the one after its last; tokens between units, which
        belong to none, take room in their window too."""
        tokens = self.base.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        starts, ends = np.array(tokens["offset_mapping"]).reshape(-1, 2).T
        begins = np.searchsorted(ends, [start for start, _ in units], side="right")
        behind = np.searchsorted(starts, [end for _, end in units], side="left")
        firsts = [0]
        for unit in range(1, len(units)):
            if behind[unit] - begins[firsts[-1]] > self.room:
                firsts.append(unit)
        yield from pairwise([*firsts, len(units)])

    def _states(
        self, text: str, units: Sequence[Span], windows: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Last hidden states, and to which unit each token belongs; −1 to none."""
        prefix = self.base.card.passage_prefix
        begins = [units[first][0] for first, _ in windows]
        ends = [units[last - 1][1] for _, last in windows]
        inputs = self.base.tokenizer(
            [prefix + text[start:end] for start, end in zip(begins, ends, strict=True)],
            truncation=True,
            max_length=self.limit,
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        offsets = inputs.pop("offset_mapping")  # (B, L, 2)
        owners = torch.stack(
            [self._owners(row, start, units) for row, start in zip(offsets, begins, strict=True)]
        )
        for encoding, start in zip(inputs.encodings, begins, strict=True):
            self._note_cut([part.offsets for part in encoding.overflowing], start, units)
        states = self.model(**inputs.to(self.device)).last_hidden_state
        return states.float().cpu(), owners

    def _owners(self, offsets: Tensor, start: int, units: Sequence[Span]) -> Tensor:
        """The unit of each token of a window that starts at a character, −1 for those of none:
        (L, 2) → (L,)."""
        prefix = len(self.base.card.passage_prefix)
        live = (offsets[:, 1] > offsets[:, 0]) & (offsets[:, 1] > prefix)
        return _owners(offsets[:, 1] - 1 + start - prefix, units).masked_fill(~live, -1)

    def _note_cut(
        self, unread: Sequence[Sequence[Span]], start: int, units: Sequence[Span]
    ) -> None:
        """Count the units of a window of which tokens were not read."""
        offsets = torch.tensor([pair for part in unread for pair in part]).view(-1, 2)
        cut = set(self._owners(offsets, start, units).tolist()) - {-1}
        self.notebook.add(
            "cut", f"units cut to the {self.limit} tokens that {self.base.name} reads", len(cut)
        )


def _owners(places: Tensor, units: Sequence[Span]) -> Tensor:
    """The unit that each character is in, −1 for those between units; any shape."""
    starts = torch.tensor([start for start, _ in units])
    ends = torch.tensor([end for _, end in units])
    unit = torch.searchsorted(starts, places, right=True) - 1
    inside = (unit >= 0) & (places < ends[unit.clamp(min=0)])
    return unit.masked_fill(~inside, -1)
