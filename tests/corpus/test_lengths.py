from math import inf

import pytest

from polyrank.corpus.lengths import Bounds, fences, lengths, quantile


def test_quantiles_by_hand():
    counts = {10: 1, 20: 2, 30: 1}  # 10 20 20 30
    assert [quantile(counts, share) for share in (0.25, 0.5, 0.75, 1)] == [10, 20, 20, 30]


def test_fences_by_hand():
    counts = {10: 1, 20: 1, 40: 1, 80: 1}  # Q1 = 10, Q3 = 40: two octaves
    assert fences(counts, 1) == pytest.approx((2.5, 160))  # two octaves below 10 and above 40
    assert fences(counts, 0) == pytest.approx((10, 40))


def test_no_length_is_unusual_where_half_of_the_lines_have_one():
    assert fences({7: 3, 100: 1}, 3) == Bounds(0, inf)


def test_lengths_are_of_characters_without_blank_lines(write):
    assert lengths(write("ky.txt", ["суу", "", "муз ", "таш тоо"])) == {3: 2, 7: 1}
