"""Answers by hand: what is read, what is repaired, and that each repair is counted."""

import pytest

from polyrank.rerankers.llm import answers
from polyrank.rerankers.llm.answers import (
    choice_of,
    number_of,
    order_of,
    part,
    scores_of,
    subset_of,
)

THREE = ["1", "2", "3"]
TAGGED = r"<answer>\s*(?P<answer>-?\d+)\s*</answer>"


@pytest.mark.parametrize(
    ("text", "order", "faults"),
    [
        ("[2] > [3] > [1]", [1, 2, 0], {}),
        ("[2], [3], [1]", [1, 2, 0], {}),
        ("[2] > [2] > [1]", [1, 0, 2], {answers.DUPLICATE: 1, answers.MISSING: 1}),
        ("[9] > [3]", [2, 0, 1], {answers.UNKNOWN: 1, answers.MISSING: 2}),
        ("3 > 1 > 2", [2, 0, 1], {answers.NO_FORM: 1}),
        ("[٣] > [١] > [٢]", [2, 0, 1], {}),  # digits of any script
        ("I cannot rank these 3 passages.", [0, 1, 2], {answers.NOTHING: 1}),
        ("", [0, 1, 2], {answers.NOTHING: 1}),
    ],
)
def test_orders(text, order, faults):
    assert order_of(text, THREE) == (order, faults)


def test_letters_are_names_too():
    assert order_of("[C] > [A]", ["A", "B", "C"]) == ([2, 0, 1], {answers.MISSING: 1})
    assert order_of("A good passage", ["A", "B", "C"])[1] == {answers.NOTHING: 1}


@pytest.mark.parametrize(
    ("text", "scores", "faults"),
    [
        ('{"1": 7, "2": 0, "3": 10}', [7, 0, 10], {}),
        ('Here: {"[1]": "7", "[2]": 0.5, "[3]": 10}', [7, 0.5, 10], {}),
        ('{"1": 12, "2": -1, "3": 3}', [10, 0, 3], {answers.OUTSIDE: 2}),
        ('{"1": 5, "1": 6, "2": 1}', [5, 1, None], {answers.DUPLICATE: 1, answers.MISSING: 1}),
        ('{"1": 5, "4": 6, "2": 1, "3": 1}', [5, 1, 1], {answers.UNKNOWN: 1}),
        ("1: 5\n[2]: 3\n3 = 9", [5, 3, 9], {answers.NO_FORM: 1}),
        ("all of them are good", [None, None, None], {answers.NOTHING: 1}),
    ],
)
def test_scores(text, scores, faults):
    assert scores_of(text, THREE) == (scores, faults)


@pytest.mark.parametrize(
    ("text", "subset", "faults"),
    [
        ("[3] [1]", [2, 0], {}),
        ("[3, 1]", [2, 0], {}),
        ("none", [], {}),
        ("[]", [], {}),
        ("[7] [2] [2]", [1], {answers.UNKNOWN: 1, answers.DUPLICATE: 1}),
        ("the first", None, {answers.NOTHING: 1}),
    ],
)
def test_subsets(text, subset, faults):
    assert subset_of(text, THREE) == (subset, faults)


def test_choices():
    assert choice_of("[2]", THREE) == (1, {})
    assert choice_of("[2] or [3]", THREE)[0] == 1
    assert sum(choice_of("[2] or [3]", THREE)[1].values()) == 1
    assert choice_of("the second", THREE) == (None, {answers.NOTHING: 1})


@pytest.mark.parametrize(
    ("text", "number", "faults"),
    [
        ("It fits. <answer>8</answer>", 8, {}),
        ("<answer> 10 </answer>", 10, {}),
        ("<answer>3</answer> no, <answer>4</answer>", 4, {}),  # the last counts
        ("Score: 8/10", 8, {answers.NO_FORM: 1}),
        ("<answer>11</answer> or 7", 7, {answers.OUTSIDE: 1}),
        ("<think>maybe <answer>9</answer></think><answer>2</answer>", 2, {}),
        ("<answer>٧</answer>", 7, {}),
        ("version 2.5 of it", None, {answers.NO_FORM: 1, answers.NOTHING: 1}),
        ("", None, {answers.NO_FORM: 1, answers.NOTHING: 1}),
    ],
)
def test_numbers(text, number, faults):
    found, counted = number_of(text, TAGGED, 0, 10)
    assert (found and found[0]) == number and counted == faults
    if found:
        assert int(text[found[1] : found[2]]) == number


def test_what_was_thought_does_not_count():
    assert part("<think>[1]</think>[2]", "") == ("[2]", {})
    assert part("no tags", r"<a>(?P<answer>.*)</a>") == ("no tags", {answers.NO_FORM: 1})
    assert part("<a>1</a><a>2</a>", r"<a>(?P<answer>.*?)</a>") == ("2", {})
