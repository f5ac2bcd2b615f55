"""τ_AP by hand (Yilmaz, Aslam & Robertson 2008)."""

import pytest

from polyrank.evaluation.rank_correlation import tau_ap, tau_ap_of_shared


def test_a_swap_at_the_top_costs_more_than_one_at_the_bottom():
    reference = ["a", "b", "c"]
    assert tau_ap(["b", "a", "c"], reference) == 2 / 2 * (0 / 1 + 2 / 2) - 1  # Kendall's: 1/3
    assert tau_ap(["a", "c", "b"], reference) == 2 / 2 * (1 / 1 + 1 / 2) - 1


def test_the_ends():
    items = [str(number) for number in range(9)]
    assert tau_ap(items, items) == 1
    assert tau_ap(items[::-1], items) == -1


@pytest.mark.parametrize("other", [["a"], ["a", "c"], ["a", "a"]])
def test_other_items_are_refused(other):
    with pytest.raises(ValueError, match="same items"):
        tau_ap(["a", "b"], other)


def test_shared_items_count_both_ways():
    a, b = ["x", "p", "y", "z"], ["y", "x", "z", "q"]
    shared = (["x", "y", "z"], ["y", "x", "z"])
    expected = (tau_ap(*shared) + tau_ap(*shared[::-1])) / 2
    assert tau_ap_of_shared(a, b) == tau_ap_of_shared(b, a) == expected
    assert tau_ap_of_shared(["x"], ["x"]) is None
