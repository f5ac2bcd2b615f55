"""What is done to each reranker's scores of a query before their mean. Needs no numpy itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores: TypeAlias = NDArray[np.float64]


def raw(scores: Scores) -> Scores:
    """As they are."""
    return scores


def min_max(scores: Scores) -> Scores:
    """Brought to [0, 1]; all 0 where they are equal."""
    spread = float(scores.max() - scores.min())
    return (scores - scores.min()) / spread if spread else scores - scores


def z_score(scores: Scores) -> Scores:
    """Brought to mean 0 and deviation 1; all 0 where they are equal."""
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 1e-12 else scores - scores


SCALES: dict[str, Callable[[Scores], Scores]] = {
    "raw": raw,
    "min-max": min_max,
    "z-score": z_score,
}
