import random
import string

import pytest

from polyrank.corpus.duplicates import Duplicates
from polyrank.corpus.near_duplicates import HASHES, NearDuplicates, bands


def jaccard(one, other):
    return len(set(one) & set(other)) / len(set(one) | set(other))


def pairs(count, size, changed):
    """Pairs of sets of `size` shingles that differ in `changed`, all of different shingles."""
    for n in range(count):
        one = [f"{n} {i}" for i in range(size)]
        yield one, [*one[changed:], *(f"{n} other {i}" for i in range(changed))]


def test_the_number_of_bands_by_hand():
    assert bands(0.8) == 32  # 1 − (1 − .8⁴)³² = 1 − 5e-8, but 1 − (1 − .8⁸)¹⁶ = .947
    assert bands(1) == 1
    assert bands(0.01) == HASHES


@pytest.mark.parametrize(("changed", "similarity"), [(2, 98 / 102), (5, 95 / 105)])
def test_what_is_clearly_above_the_threshold_is_found(changed, similarity):
    index = NearDuplicates(0.8)
    for n, (one, other) in enumerate(pairs(50, 100, changed)):
        assert jaccard(one, other) == similarity
        near = index.check([2 * n, 2 * n + 1], [one, other])
        assert near[0] is None
        assert near[1].number == 2 * n
        assert near[1].similarity == pytest.approx(similarity, abs=0.12)


def test_estimates_are_unbiased_and_no_wider_than_minhash_promises():
    index = NearDuplicates(0.5)
    errors = []
    for n, (one, other) in enumerate(pairs(200, 100, 20)):
        near = index.check([2 * n, 2 * n + 1], [one, other])[1]
        errors.append(near.similarity - 80 / 120)
    assert abs(sum(errors) / 200) < 0.01  # standard error of the mean: √(⅔ · ⅓ / 128 / 200) = .003
    assert sum(e * e for e in errors) / 200 < 2 / 9 / HASHES * 1.3


def test_what_is_clearly_below_is_not():
    index = NearDuplicates(0.8)
    for n, (one, other) in enumerate(pairs(50, 100, 25)):  # 75 / 125 = .6
        assert index.check([2 * n, 2 * n + 1], [one, other]) == [None, None]


def test_blocks_do_not_matter():
    letters = random.Random(1)
    texts = [[letters.choice(string.ascii_letters) for _ in range(30)] for _ in range(60)]
    sets = [sorted(set(text)) for text in texts]
    whole = NearDuplicates(0.4).check(range(60), sets)
    parts = NearDuplicates(0.4)
    assert [one for n in range(60) for one in parts.check([n], [sets[n]])] == whole
    assert any(whole) and not all(whole)


def test_a_line_without_shingles_is_like_no_other():
    assert NearDuplicates(0.8).check([1, 2], [[], []]) == [None, None]


def test_a_near_duplicate_is_no_model_for_others():
    a = [str(n) for n in range(100)]
    b = [*a[8:], *"abcdefgh"]  # 92 / 108 = .85 like a
    c = [*b[8:], *"ijklmnop"]  # as much like b, but 84 / 116 = .72 like a
    assert [bool(one) for one in NearDuplicates(0.8).check([1, 2, 3], [a, b, c])] == [0, 1, 0]


def test_duplicates_name_the_first():
    seen = Duplicates()
    assert [seen.first(n, text) for n, text in enumerate("abab", start=1)] == [None, None, 1, 2]
