"""Rewards by hand."""

from __future__ import annotations

import math

import pytest

from polyrank.errors import UsageError
from polyrank.rerankers.llm.prompt import load_prompt
from polyrank.training.llm.rewards import (
    exact_answer_reward,
    group_reward,
    jensen_shannon,
    rank_rewards,
    relevance_reward,
)
from polyrank.training.llm.rewards.by_name import REWARDS, reward_of


@pytest.mark.parametrize(
    ("text", "relevant", "reward"),
    [
        ("1", True, 2.0),
        (" 0\n", False, 2.0),
        ("1", False, 1.0),  # of the right form alone
        ("0", True, 1.0),
        ("1.", True, 0.0),
        ("The answer is 1", True, 0.0),
        ("", True, 0.0),
    ],
)
def test_relevance(text, relevant, reward):
    assert relevance_reward(text, relevant) == reward


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<think>[1] is off</think>\n<answer>[2]</answer>", 1.0),
        ("[1] is off</think><answer> [2] </answer>", 1.0),  # the prompt opened the thought
        ("<think>so</think><answer>2</answer>", 0.0),  # without its brackets
        ("<think>so</think><answer>[1]</answer>", 0.0),
        ("<think>so</think>[2]", 0.0),
        ("<answer>[2]</answer>", 0.0),
        ("<think>so</think><answer>[2]</answer> or so", 0.0),
    ],
)
def test_exact_answer(text, reward):
    assert exact_answer_reward(text, "2") == reward


def test_group_grades_by_hand():
    # grades 4 and 4 in the order of the prompt, labels 0 and 2: the relevant one is second
    text = '<reason>so</reason><answer>{"1": 4, "2": 4}</answer>'
    ndcg = (3 / math.log2(3)) / 3
    middle = [0.25, 0.75]
    divergence = (0.5 * math.log2(0.5 / 0.25) + 0.5 * math.log2(0.5 / 0.75)) / 2
    divergence += math.log2(1 / 0.75) / 2
    assert jensen_shannon([0.5, 0.5], [0, 1]) == pytest.approx(divergence)
    assert sum(middle) == 1
    expected = ndcg + 0.2 * 1.0 + 0.1 * (1 - divergence)
    assert group_reward(text, ["1", "2"], [0, 2]) == pytest.approx(expected)


def test_group_grades_are_best_where_they_are_the_labels():
    perfect = group_reward('<answer>{"1": 0, "2": 10}</answer>', ["1", "2"], [0, 3])
    assert perfect == pytest.approx(1.3)  # 1 + .2 + .1


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ('{"1": 4, "2": 4}', -0.5),  # no tags
        ("<answer>4, 4</answer>", -0.1),
        ('<answer>{"1": 4}</answer>', -0.1),  # a document is missing
        ('<answer>{"1": 4, "2": 11}</answer>', -0.1),
        ('<answer>{"1": 4, "2": 4, "3": 4}</answer>', -0.1),
        ('<answer>{"1": true, "2": 4}</answer>', -0.1),
        ("<answer>[1, 2]</answer>", -0.1),
    ],
)
def test_group_grades_of_a_bad_form(text, reward):
    assert group_reward(text, ["1", "2"], [0, 1]) == reward


def test_ranks_by_hand():
    rewards = rank_rewards(
        [[9, 7], [2, 8], [None, 7]], [True, False, False], [None, 4.0, None], penalty=-2.0
    )
    # pool 9 8 7 7 2: the positive's answers are first and third: equal scores share a rank
    assert rewards[0] == [1.0, 1 / 3]
    assert rewards[1] == [1 - 0.2**2, -2.0]  # 2 against 4 expected; 8 stands above the 7
    assert rewards[2] == [-2.0, -2.0]  # unreadable; as high as a positive


def test_ranks_of_a_question_without_a_readable_positive():
    assert rank_rewards([[None], [3]], [True, False]) == [[-1.0], [1 - 0.3**2]]


def test_every_reward_takes_columns():
    prompt = load_prompt("integers-reason")
    columns = {
        "completions": ["<answer>9</answer>", "<answer>3</answer>", "<answer>9</answer>"],
        "question": ["a", "a", "b"],
        "document": ["d1", "d2", "d1"],
        "relevant": [[True], [False], [True]],
        "expected": [None, 3.0, None],
    }
    assert REWARDS["rank"].of(prompt, columns) == [1.0, 1.0, 1.0]  # questions are not mixed
    shown = {"completions": ["x</think><answer>[B]</answer>"], "names": [["A", "B"]]}
    assert REWARDS["exact-answer"].of(prompt, {**shown, "relevant": [[False, True]]}) == [1.0]
    assert REWARDS["exact-answer"].of(prompt, {**shown, "relevant": [[True, False]]}) == [0.0]
    graded = {"completions": ['<answer>{"1": 9}</answer>'], "names": [["1"]], "grades": [[2.0]]}
    assert REWARDS["group-grades"].of(load_prompt("groupwise-reason"), graded) == [1.3]
    said = {"completions": ["1", "0"], "relevant": [[True], [True]]}
    assert REWARDS["relevance"].of(load_prompt("label-binary"), said) == [2.0, 1.0]


def test_an_unknown_reward_is_refused():
    with pytest.raises(UsageError, match="use one of relevance"):
        reward_of("best")
