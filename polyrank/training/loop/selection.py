"""The k largest changes over many tensors, found without holding all changes at once.

Lottery-ticket sparse fine-tuning keeps the k coordinates that moved farthest, over all candidate
tensors in one pool (Ansell et al. 2022, arXiv 2110.07560, §3). The k-th largest change is found by
a radix search over its bit pattern: for non-negative fp32 numbers the order of the patterns is the
order of the numbers, so two counting passes of 2^16 bins name it exactly, and a third collects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from polyrank.errors import UsageError

CHUNK = 1 << 20  # coordinates looked at together
_LOW = 16  # bits of the second pass


def select_largest(
    now: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    k: int,
    taken: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The k coordinates with the largest |now - start|.

    Of equal changes those of the earlier tensor, and in it of the lower position, come first, so
    exactly k are selected. Beyond the result it holds some chunks of 2^20 numbers.

    Args:
        now, start: fp32 tensors by name, of equal shapes; the order of `now` breaks ties.
        k: how many.
        taken: per name, flat positions that are out of the choice, (t,) int64.

    Returns:
        Per name, flat positions in increasing order, (k_name,) int64; all names are there.

    Raises:
        UsageError: fewer than k coordinates to choose from, or a change that is not finite.
    """
    pieces = partial(_pieces, now, start, taken or {})
    infinity = torch.tensor(torch.inf).view(torch.int32).item()
    high = torch.zeros(1 << 15, dtype=torch.int64)
    for name, _, _, bits in pieces():
        if (bits >= infinity).any():
            raise diverged(name)
        high += torch.bincount(bits >> _LOW, minlength=1 << 15).cpu()
    if not 0 < k <= high.sum():
        raise UsageError(
            f"{k} coordinates cannot be chosen from {int(high.sum())}; give another --k"
        )
    top, above = _place(high, k)
    low = torch.zeros(1 << _LOW, dtype=torch.int64)
    for _, _, _, bits in pieces():
        inside = bits[bits >> _LOW == top] & ((1 << _LOW) - 1)
        low += torch.bincount(inside, minlength=1 << _LOW).cpu()
    bottom, equal = _place(low, k - above)
    threshold, ties = (top << _LOW) | bottom, k - above - equal

    chosen: dict[str, list[Tensor]] = {name: [] for name in now}
    for name, offset, places, bits in pieces():
        keep = bits > threshold
        tied = (bits == threshold).nonzero().squeeze(1)[:ties]
        keep[tied], ties = True, ties - len(tied)
        chosen[name].append((places[keep] + offset).cpu())
    return {name: torch.cat(parts) for name, parts in chosen.items()}


def _pieces(
    now: Mapping[str, Tensor], start: Mapping[str, Tensor], taken: Mapping[str, Tensor]
) -> Iterator[tuple[str, int, Tensor, Tensor]]:
    """Per chunk: its tensor, its first position, the positions to choose from, their bits."""
    for name, tensor in now.items():
        then, out = start[name].detach().reshape(-1), taken.get(name)
        for first, part in enumerate(tensor.detach().reshape(-1).split(CHUNK)):
            offset = first * CHUNK
            change = (part - then[offset : offset + len(part)]).abs()
            free = torch.ones(len(part), dtype=torch.bool, device=part.device)
            if out is not None:
                free[out[(out >= offset) & (out < offset + len(part))] - offset] = False
            places = free.nonzero().squeeze(1)
            yield name, offset, places, change[places].view(torch.int32)


def diverged(name: str) -> UsageError:
    """What to raise for a tensor that holds numbers that are not finite."""
    return UsageError(
        f"the training diverged: '{name}' holds numbers that are not finite.\n"
        "Train again with a lower --rate."
    )


def _place(counts: Tensor, k: int) -> tuple[int, int]:
    """The bin that holds the k-th largest, and how many lie in the bins above it."""
    from_top = counts.flip(0).cumsum(0)
    place = int((from_top >= k).nonzero()[0])
    return len(counts) - 1 - place, int(from_top[place] - counts.flip(0)[place])
