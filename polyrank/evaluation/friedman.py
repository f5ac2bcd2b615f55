"""Several systems over several blocks: Friedman's test, and Nemenyi's after it.

Demšar 2006 (JMLR 7, "Statistical Comparisons of Classifiers over Multiple Data Sets", §3.2): every
block ranks the systems, the best 1, ties sharing the mean of their ranks; Friedman asks whether the
mean ranks differ at all, Nemenyi which two differ by more than the critical difference

    CD = q_α √(k (k + 1) / 6N)

for k systems and N blocks, q_α that of the studentised range for infinite degrees, over √2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from polyrank.errors import UsageError


@dataclass(frozen=True)
class RankTest:
    """What the ranks of systems say.

    Attributes:
        names: the systems, the best mean rank first, ties by name.
        ranks: their mean ranks.
        blocks: N.
        statistic: Friedman's χ²; p_value: of no difference at all.
        critical_difference: CD at `alpha`.
        pairs: of two systems, in the order of `names`: Nemenyi's p.
    """

    names: tuple[str, ...]
    ranks: tuple[float, ...]
    blocks: int
    statistic: float
    p_value: float
    alpha: float
    critical_difference: float
    pairs: Mapping[tuple[str, str], float]

    def groups(self) -> list[tuple[str, ...]]:
        """Longest runs of systems of which no two differ by more than the critical difference."""
        found: list[tuple[int, int]] = []
        for first, rank in enumerate(self.ranks):
            near = [i for i, r in enumerate(self.ranks) if r - rank <= self.critical_difference]
            last = max(near)
            if last > first and not any(last <= end for _, end in found):
                found.append((first, last))
        return [self.names[first : last + 1] for first, last in found]


def rank_test(
    values: Mapping[str, Sequence[float]], alpha: float = 0.05, digits: int = 6
) -> RankTest:
    """Ranks of systems over blocks, and the two tests.

    Args:
        values: system → its value in each block, higher is better.
        alpha: of the critical difference.
        digits: values that are equal to so many places are tied.

    Raises:
        UsageError: fewer than three systems or two blocks, or a value that is missing.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    names, blocks = sorted(values), {len(column) for column in values.values()}
    if len(names) < 3 or len(blocks) != 1 or min(blocks) < 2:
        raise UsageError(
            f"{len(names)} systems with {', '.join(map(str, sorted(blocks)))} values: Friedman's "
            "test needs three systems or more, and a value of each in the same two blocks or more"
        )
    table = np.round(np.array([values[name] for name in names]).T, digits)  # (N, k)
    if not np.isfinite(table).all():
        raise UsageError("a value is missing or not finite; measure every system in every block")
    count, k = table.shape
    means = rankdata(-table, axis=1).mean(axis=0)
    if (table == table[:, :1]).all():  # the test divides by the spread of ranks
        statistic, p_value = 0.0, 1.0
    else:
        statistic, p_value = map(float, friedmanchisquare(*table.T))
    error = np.sqrt(k * (k + 1) / (6 * count))
    order = sorted(range(k), key=lambda place: (means[place], names[place]))
    pairs = {
        (names[a], names[b]): float(
            studentized_range.sf(abs(means[a] - means[b]) / error * np.sqrt(2), k, np.inf)
        )
        for a, b in combinations(order, 2)
    }
    return RankTest(
        tuple(names[place] for place in order),
        tuple(float(means[place]) for place in order),
        count,
        statistic,
        p_value,
        alpha,
        float(studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) * error),
        pairs,
    )
