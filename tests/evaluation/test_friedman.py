"""Friedman and Nemenyi: Demšar's published example, ties by hand, groups, the diagram."""

from __future__ import annotations

import pytest

from polyrank.errors import UsageError
from polyrank.evaluation.friedman import rank_test

# Demšar 2006, table 6: AUC of C4.5, with cross-validated m, cf, and both, on 14 data sets.
DEMSAR = {
    "C4.5": (.763, .599, .954, .628, .882, .936, .661, .583, .775, 1.0, .940, .619, .972, .957),
    "m": (.768, .591, .971, .661, .888, .931, .668, .583, .838, 1.0, .962, .666, .981, .978),
    "cf": (.771, .590, .968, .654, .886, .916, .609, .563, .866, 1.0, .965, .614, .975, .946),
    "m+cf": (.798, .569, .967, .657, .898, .931, .685, .625, .875, 1.0, .962, .669, .973, .970),
}  # fmt: skip


def test_the_published_example():
    """Mean ranks 3.143, 2.000, 2.893, 1.964; χ² 9.28; CD 1.25 at α .05."""
    test = rank_test(DEMSAR)
    assert dict(zip(test.names, test.ranks, strict=True)) == pytest.approx(
        {"C4.5": 3.143, "m": 2.000, "cf": 2.893, "m+cf": 1.964}, abs=1e-3
    )
    assert test.names == ("m+cf", "m", "cf", "C4.5") and test.blocks == 14
    assert test.critical_difference == pytest.approx(1.25, abs=0.01)
    # the paper's 9.28 is without the correction for ties, Σ (t³ − t) / N k (k² − 1): three pairs
    # and one four of equal values
    assert test.statistic == pytest.approx(9.28 / (1 - (3 * 6 + 60) / (14 * 4 * 15)), abs=0.02)
    assert test.p_value < 0.05
    assert test.groups() == [("m+cf", "m", "cf", "C4.5")]  # the paper's: no two differ at .05


def test_ties_and_groups_by_hand():
    values = {"a": [3, 3, 3, 3], "b": [2, 3, 2, 2], "c": [1, 1, 1, 1]}
    test = rank_test(values)
    assert dict(zip(test.names, test.ranks, strict=True)) == {"a": 1.125, "b": 1.875, "c": 3.0}
    # q of the studentised range for 3 is 3.314: 3.314 / √2 · √(3 · 4 / 24)
    assert test.critical_difference == pytest.approx(1.657, abs=1e-3)
    assert test.groups() == [("a", "b"), ("b", "c")]
    assert test.pairs["a", "c"] < 0.05 < test.pairs["a", "b"]
    alike = rank_test({name: [1.0, 2.0] for name in "xyz"})
    assert (alike.ranks, alike.statistic, alike.p_value) == ((2.0, 2.0, 2.0), 0.0, 1.0)


def test_too_little_to_compare():
    with pytest.raises(UsageError, match="2 systems with 3 values"):
        rank_test({"a": [1, 2, 3], "b": [1, 2, 3]})
    with pytest.raises(UsageError, match="3 systems with 1, 2 values"):
        rank_test({"a": [1, 2], "b": [1], "c": [1, 2]})
    with pytest.raises(UsageError, match="missing or not finite"):
        rank_test({"a": [1, 2], "b": [1, float("nan")], "c": [1, 2]})


def test_the_diagram_names_every_system():
    pytest.importorskip("matplotlib")
    from polyrank.experiments.critical_difference import critical_difference

    picture = critical_difference(rank_test(DEMSAR))
    assert picture.startswith("<svg") and picture == critical_difference(rank_test(DEMSAR))
