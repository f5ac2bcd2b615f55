"""Windows and sorts keep every candidate once, and find what they are asked to find."""

import pytest

from polyrank.rerankers.llm.sorting import SORTS, setwise_sort
from polyrank.rerankers.llm.windows import windows

LENGTHS = [1, 2, 19, 20, 21, 100]


def slide(count, order, window=20, step=10):
    sliding, seen = windows(count, window, step), []
    try:
        shown = next(sliding)
        while True:
            seen.append(tuple(shown))
            shown = sliding.send(order(shown))
    except StopIteration as done:
        return done.value, seen


def test_windows_by_hand():
    places, seen = slide(5, lambda shown: sorted(shown, reverse=True), window=3, step=2)
    # [2, 3, 4] → 4 3 2, then from the start [0, 1, 4] → 4 1 0
    assert seen == [(2, 3, 4), (0, 1, 4)]
    assert places == [4, 1, 0, 3, 2]


@pytest.mark.parametrize("count", LENGTHS)
@pytest.mark.parametrize(("window", "step"), [(20, 10), (20, 19), (2, 1), (7, 3), (100, 50)])
def test_windows_keep_every_candidate_once(count, window, step):
    places, seen = slide(count, lambda shown: list(reversed(shown)), window, step)
    assert sorted(places) == list(range(count))
    assert set().union(*seen) == set(range(count))  # and each was looked at
    assert all(len(shown) <= window for shown in seen)


@pytest.mark.parametrize("count", LENGTHS)
def test_the_best_rise_from_the_tail(count):
    places, _ = slide(count, lambda shown: sorted(shown, reverse=True))
    assert places[: min(10, count)] == sorted(range(count), reverse=True)[:10]


def test_a_window_that_loses_a_document_is_refused():
    with pytest.raises(AssertionError, match="the same documents"):
        slide(5, lambda shown: shown[:-1])


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("count", LENGTHS)
@pytest.mark.parametrize("width", [2, 3, 20])
def test_sorts_find_the_best(sort, count, width):
    picks = []

    def pick(places):
        assert 2 <= len(places) <= width and len(set(places)) == len(places)
        picks.append(places)
        return max(places)

    order = setwise_sort(pick, count, k=5, width=width, sort=sort)
    best = sorted(range(count), reverse=True)[:5]
    assert order[:5] == best
    assert order[5:] == [place for place in range(count) if place not in best]


@pytest.mark.parametrize("sort", SORTS)
def test_one_pick_for_a_list_that_fits_a_window(sort):
    picks = []

    def pick(places):
        picks.append(places)
        return places[-1]

    assert setwise_sort(pick, 20, k=1, width=20, sort=sort)[0] == 19
    assert picks == [tuple(range(20))]


def test_picks_of_heap_sort_by_hand():
    # 100 documents, 19 children: 6 inner nodes, of which 1 to 5 hold 19 documents each.
    picks = []
    setwise_sort(lambda places: picks.append(places) or places[0], 100, k=1, width=20)
    assert len(picks) == 6 and picks[-1] == (0, *range(1, 20))
