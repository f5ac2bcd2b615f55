"""The one best document, named in the form that was asked for (Rank-R1, arXiv 2503.06034)."""

from __future__ import annotations

import re

FORM = re.compile(
    r"\s*(?:<think>)?(?P<thought>.*?)</think>\s*<answer>\s*(?P<answer>.*?)\s*</answer>\s*",
    re.DOTALL,
)


def exact_answer_reward(text: str, best: str) -> float:
    """1 where the tags parse and the answer is the name of the best document in brackets, else 0.

    The opening <think> may be missing, as templates of thinking models write it into the prompt.

    >>> exact_answer_reward("<think>a or b</think> <answer>[2]</answer>", "2")
    1.0
    >>> exact_answer_reward("<answer>[2]</answer>", "2")
    0.0

    Args:
        text: the answer.
        best: the name of the positive, without brackets.
    """
    match = FORM.fullmatch(text)
    return float(match is not None and match["answer"] == f"[{best}]")
