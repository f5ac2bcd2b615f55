"""The table of rewards: each with the objective whose prompts it judges, on columns of answers.

A column has a value for each answer: `completions` (the texts), `question` (an id), `names` and
`grades` of the documents in the prompt, `relevant` of each of them, `expected`, a score or None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.llm.answers import number_of
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.training.llm.rewards.exact_answer import exact_answer_reward
from polyrank.training.llm.rewards.group_grades import group_reward
from polyrank.training.llm.rewards.reciprocal_rank import rank_rewards
from polyrank.training.llm.rewards.relevance import relevance_reward

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Reward:
    """A reward.

    of: the rewards of a batch of answers to a prompt.
    objective: whose prompts they answer. prompt: that is used unless another is given.
    graded: whether it reads a teacher's scores.
    """

    help: str
    of: Callable[[Prompt, Columns], list[float]]
    objective: str
    prompt: str
    graded: bool = False


def _relevance(prompt: Prompt, columns: Columns) -> list[float]:
    true, false = prompt.labels
    return [
        relevance_reward(text, relevant[0], (true.strip(), false.strip()))
        for text, relevant in zip(columns["completions"], columns["relevant"], strict=True)
    ]


def _exact_answer(prompt: Prompt, columns: Columns) -> list[float]:
    texts, names, relevant = (columns[key] for key in ("completions", "names", "relevant"))
    return [
        exact_answer_reward(text, shown[good.index(True)])
        for text, shown, good in zip(texts, names, relevant, strict=True)
    ]


def _group_grades(prompt: Prompt, columns: Columns) -> list[float]:
    tag = "answer" if prompt.tagged else None
    return [
        group_reward(text, names, grades, tag=tag)
        for text, names, grades in zip(
            columns["completions"], columns["names"], columns["grades"], strict=True
        )
    ]


def _rank(prompt: Prompt, columns: Columns) -> list[float]:
    """Answers are pooled by question; those to one document stand together."""
    levels = [int(label) for label in prompt.labels]
    rewards = [0.0] * len(columns["completions"])
    pools: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, (question, document) in enumerate(
        zip(columns["question"], columns["document"], strict=True)
    ):
        pools[question][document].append(place)

    def score(text: str) -> float | None:
        found, faults = number_of(text, prompt.output, min(levels), max(levels))
        return None if found is None or faults else float(found[0])

    for documents in pools.values():
        answers = list(documents.values())
        found = rank_rewards(
            [[score(columns["completions"][place]) for place in places] for places in answers],
            [columns["relevant"][places[0]][0] for places in answers],
            [columns["expected"][places[0]] for places in answers],
            highest=max(levels),
        )
        for places, values in zip(answers, found, strict=True):
            for place, value in zip(places, values, strict=True):
                rewards[place] = value
    return rewards


REWARDS: Mapping[str, Reward] = {
    "relevance": Reward(
        "a bare label, and the right one (ProRank)", _relevance, "label", "label-binary"
    ),
    "exact-answer": Reward(
        "the best document, named between tags after thinking (Rank-R1)",
        _exact_answer, "setwise", "setwise-reason",
    ),
    "group-grades": Reward(
        "nDCG, recall and agreement of a group's grades (GroupRank)",
        _group_grades, "groupwise", "groupwise-reason", graded=True,
    ),
    "rank": Reward(
        "1 / rank among all answers to all documents of a question (ERank)",
        _rank, "integers", "integers-reason", graded=True,
    ),
}  # fmt: skip


def reward_of(name: str) -> Reward:
    """A reward by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in REWARDS:
        raise UsageError(f"unknown reward '{name}'; use one of {', '.join(REWARDS)}")
    return REWARDS[name]
