"""Whether two systems differ over the same queries, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

_CELLS = 4_000_000  # of a chunk of resamples × queries, so that memory stays near 32 MB
_EXACT = 20  # queries up to which all sign patterns may be tried: a million


def randomisation_test(
    system: ArrayLike, baseline: ArrayLike, resamples: int = 10_000, seed: int = 13
) -> float:
    """Two-sided p-value of the paired randomisation test (Smucker et al. 2007, CIKM).

    Under the null hypothesis the sign of each query's difference is a fair coin. Where there are at
    most n = `resamples` sign patterns, that is up to 13 queries for 10,000, all are tried and p is
    the share with a mean difference at least as far from zero as the observed one. Else, with b
    such among n random ones, p = (b + 1) / (n + 1), which is never zero (Phipson & Smyth 2010).

    Args:
        system, baseline: a measure per query, (queries,), in the same order.
        resamples: n; the smallest p-value of a random test is 1 / (n + 1).
        seed: of the generator; the same seed gives the same p-value.

    Raises:
        ValueError: when the two differ in length, are empty, or hold no finite numbers.
    """
    import numpy as np

    differences = _differences(system, baseline)
    # A sum that equals the observed one up to rounding is "at least as far".
    observed = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; give at least 1")
    if len(differences) <= _EXACT and 2 ** len(differences) <= resamples:
        patterns = np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1
        return float((np.abs((2 * patterns - 1) @ differences) >= observed).mean())
    generator = np.random.default_rng(seed)
    extreme = 0
    for rows in _chunks(resamples, len(differences)):
        signs = generator.integers(0, 2, (rows, len(differences)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ differences) >= observed).sum())
    return (extreme + 1) / (resamples + 1)


def t_test(system: ArrayLike, baseline: ArrayLike) -> float:
    """Two-sided p-value of Student's paired t-test, SciPy's `ttest_rel`.

    1 where no query differs, and where there is one query only, which has no variance.

    Raises:
        ValueError: as `randomisation_test`.
    """
    import numpy as np
    from scipy.stats import ttest_rel

    differences = _differences(system, baseline)
    if len(differences) < 2 or not differences.any():
        return 1.0
    with np.errstate(all="ignore"):  # equal differences for all queries: t is infinite, p is 0
        return float(ttest_rel(np.asarray(system, float), np.asarray(baseline, float)).pvalue)


def effect_size(system: ArrayLike, baseline: ArrayLike) -> float | None:
    """Cohen's d for paired values: mean difference / its standard deviation (n - 1 below).

    None where every query differs by the same amount, and for a single query; 0 where none differs.

    Raises:
        ValueError: as `randomisation_test`.
    """
    differences = _differences(system, baseline)
    if not differences.any():
        return 0.0
    if len(differences) < 2:
        return None
    deviation = float(differences.std(ddof=1))
    if deviation <= 1e-12 * float(abs(differences).max()):
        return None
    return float(differences.mean()) / deviation


def bootstrap_interval(
    system: ArrayLike,
    baseline: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 13,
) -> tuple[float, float]:
    """Percentile interval of the mean difference, queries drawn with replacement (Efron 1979).

    Args:
        system, baseline: a measure per query, (queries,), in the same order.
        confidence: the share of resampled means inside the interval.
        resamples: how many.
        seed: of the generator.

    Returns:
        Low and high end, in the measure's units.

    Raises:
        ValueError: as `randomisation_test`; also for a confidence outside (0, 1).
    """
    import numpy as np

    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a share between 0 and 1, such as 0.95")
    differences = _differences(system, baseline)
    count = len(differences)
    generator = np.random.default_rng(seed)
    means = np.concatenate(
        [
            differences[generator.integers(0, count, (rows, count))].mean(axis=1)
            for rows in _chunks(resamples, count)
        ]
    )  # (resamples,)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction for several tests (Holm 1979), in the order given.

    With p sorted upwards, the i-th (from 0) of m becomes max over j ≤ i of min(1, (m - j) p_j).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """Bonferroni's correction for several tests: min(1, m p), in the order given.

    >>> bonferroni([0.01, 0.4, 0.03])
    [0.03, 1.0, 0.09]
    """
    return [min(1.0, len(p_values) * p) for p in p_values]


def uncorrected(p_values: Sequence[float]) -> list[float]:
    """The p-values as they are."""
    return list(p_values)


TESTS = {"randomisation": randomisation_test, "t": t_test}
CORRECTIONS = {"holm": holm, "bonferroni": bonferroni, "none": uncorrected}


def _differences(system: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    import numpy as np

    a, b = np.asarray(system, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"a paired test needs two equally long lists, not {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a paired test needs finite values for every query")
    return a - b


def _chunks(rows: int, columns: int) -> Iterator[int]:
    """Row counts that sum to `rows`, each of at most `_CELLS` cells."""
    if rows < 1:
        raise ValueError(f"resamples is {rows}; give at least 1")
    most = max(1, _CELLS // columns)
    yield from (min(most, rows - start) for start in range(0, rows, most))
