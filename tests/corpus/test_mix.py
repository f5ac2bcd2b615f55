from collections import Counter

import numpy as np
import pytest

import polyrank as pr
from polyrank.corpus.temperature import apportion, draw, shares
from polyrank.errors import UsageError


def test_shares_by_hand():
    assert shares([90, 10], 1) == pytest.approx([0.9, 0.1])
    assert shares([90, 10], 0) == pytest.approx([0.5, 0.5])
    assert shares([16, 1], 0.5) == pytest.approx([0.8, 0.2])  # 4 : 1


def test_parts_of_a_budget_by_hand():
    assert apportion(10, np.array([0.55, 0.3, 0.15])) == [6, 3, 1]  # equal remainders: the first
    assert apportion(2, np.array([0.4, 0.3, 0.3])) == [1, 1, 0]


@pytest.mark.parametrize("budget", [0, 1, 7, 1000])
def test_parts_sum_to_the_budget(budget):
    assert sum(apportion(budget, shares([5, 70, 3, 1000], 0.3))) == budget


@pytest.mark.parametrize("quota", [0, 3, 5, 13])
def test_all_lines_are_taken_before_one_is_repeated(quota):
    times = draw(np.ones(5, np.int64), quota, np.random.default_rng(0))
    assert times.sum() == quota
    assert times.max() - times.min() <= 1


def test_a_quota_of_tokens_is_undercut_by_less_than_a_line():
    sizes = np.array([3, 8, 2, 7, 5])
    for quota in range(60):
        taken = (draw(sizes, quota, np.random.default_rng(quota)) * sizes).sum()
        assert quota - sizes.max() < taken <= quota


@pytest.fixture
def files(write):
    english = [f"en {n}" for n in range(16)]
    return [write("en.txt", english), write("sw.txt.gz", ["sw 0", ""]), write("ky.txt", ["ky 0"])]


def test_a_mixture_by_hand(files, tmp_path):
    mixed = pr.mix_corpus(files[:2], tmp_path / "m", alpha=0.5, lines=10)  # 4 : 1
    lines = (tmp_path / "m").read_text().splitlines()
    assert Counter(line[:2] for line in lines) == {"en": 8, "sw": 2}
    english = [int(line[3:]) for line in lines if line.startswith("en")]
    assert english == sorted(set(english))  # in the order of the file, none twice
    en, sw = mixed.parts
    assert (en.before, en.after, en.repeated, en.most) == (16 / 17, 0.8, 0.5, 1)
    assert (sw.lines, sw.after, sw.repeated, sw.most) == (1, 0.2, 2, 2)


def test_a_budget_of_tokens(files, tiny_bert, tmp_path):
    mixed = pr.mix_corpus(files, tmp_path / "m", alpha=0, tokens=30, base=str(tiny_bert))
    assert mixed.unit == "tokens"
    assert [part.size for part in mixed.parts] == [16 * 3, 3, 3]  # "en 7" is e ##n and an unknown
    assert [part.taken_size for part in mixed.parts] == [9, 9, 9]  # 10 of each, in threes
    assert [part.repeated for part in mixed.parts] == [3 / 16, 3, 3]


def test_the_seed_decides(files, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        pr.mix_corpus(files, tmp_path / name, lines=12, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_languages_alternate(write, tmp_path):
    files = [write("en.txt", ["en"] * 100), write("sw.txt", ["sw"] * 100)]
    pr.mix_corpus(files, tmp_path / "m", lines=200)
    first = (tmp_path / "m").read_text().splitlines()[:100]
    assert 30 < first.count("sw") < 70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "a budget of lines or of tokens"),
        ({"lines": 1, "tokens": 1}, "a budget of lines or of tokens"),
        ({"lines": 0}, "the budget is 0"),
        ({"lines": 1, "alpha": 2}, "alpha is 2"),
    ],
)
def test_what_cannot_be_mixed(options, message, files, tmp_path):
    with pytest.raises(UsageError, match=message):
        pr.mix_corpus(files, tmp_path / "m", **options)


def test_a_language_twice_and_an_input_as_output(files, tmp_path):
    with pytest.raises(UsageError, match="are both in en; join them"):
        pr.mix_corpus([*files, f"en={files[2]}"], tmp_path / "m", lines=5)
    with pytest.raises(UsageError, match="is read, and would be overwritten"):
        pr.mix_corpus(files, files[2], lines=5)
