from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_rel

from polyrank.evaluation import bootstrap_interval, holm, randomisation_test


def exact(differences):
    """All sign patterns: the share at least as far from zero as the observed sum."""
    observed = abs(sum(differences))
    sums = [abs(np.dot(s, differences)) for s in product((-1, 1), repeat=len(differences))]
    return np.mean([s >= observed - 1e-9 for s in sums])


@pytest.mark.parametrize(
    "differences",
    [[0.5, 0.25, 0.1, 0.3], [0.3, -0.2, 0.1, 0.4, -0.1, 0.2], [1, 1, 1, 1, 1, 1, 1, -1]],
)
def test_randomisation_agrees_with_enumeration(differences):
    p = randomisation_test(differences, np.zeros(len(differences)), resamples=40_000)
    assert p == pytest.approx(exact(differences), abs=0.01)


def test_randomisation_agrees_with_the_t_test_where_it_holds():
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.05, 0.3, 200), generator.normal(0, 0.3, 200)
    assert randomisation_test(a, b) == pytest.approx(ttest_rel(a, b).pvalue, abs=0.02)


def test_equal_systems_and_symmetry():
    a, b = [0.1, 0.5, 0.9], [0.3, 0.1, 0.2]
    assert randomisation_test(a, a) == 1.0
    assert randomisation_test(a, b) == randomisation_test(b, a) == randomisation_test(a, b, seed=13)


def test_smallest_p_is_never_zero():
    assert randomisation_test(np.ones(60), np.zeros(60), resamples=999) == 1 / 1000


def test_false_alarms_are_as_frequent_as_promised():
    generator = np.random.default_rng(2)
    pairs = generator.normal(size=(300, 2, 30))
    alarms = np.mean([randomisation_test(a, b, resamples=200) <= 0.1 for a, b in pairs])
    assert 0.05 < alarms < 0.16


def test_bootstrap_covers_the_normal_interval():
    differences = np.random.default_rng(3).normal(1.0, 2.0, 400)
    low, high = bootstrap_interval(differences, np.zeros(400))
    half = 1.96 * differences.std(ddof=1) / 20
    assert low == pytest.approx(differences.mean() - half, abs=0.03)
    assert high == pytest.approx(differences.mean() + half, abs=0.03)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]  # 3 x .01; 2 x .03; max(.06, 1 x .04)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("a, b", [([], []), ([1], [1, 2]), ([np.nan], [1]), ([[1]], [[1]])])
def test_refuses_what_is_not_paired(a, b):
    with pytest.raises(ValueError, match="paired"):
        randomisation_test(a, b)
    with pytest.raises(ValueError, match="paired"):
        bootstrap_interval(a, b)
