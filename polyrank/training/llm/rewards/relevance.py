"""A bare right label (the first stage of ProRank, arXiv 2506.03487)."""

from __future__ import annotations


def relevance_reward(
    text: str, relevant: bool, labels: tuple[str, str] = ("1", "0"), form: float = 1.0
) -> float:
    """`form` for an answer that is a label and nothing else, and 1 more where it is the right one.

    After the paper, which rewards output format and binary relevance, 0 or 1 each, and prints no
    weights.

    >>> relevance_reward("1", True), relevance_reward("0", True), relevance_reward("1, yes", True)
    (2.0, 1.0, 0.0)

    Args:
        text: the answer.
        relevant: whether the document answers the query.
        labels: for relevant and for not.
        form: reward of the form alone.
    """
    said = text.strip()
    if said not in labels:
        return 0.0
    right = labels[0] if relevant else labels[1]
    return form + float(said == right)
