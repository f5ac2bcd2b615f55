"""A question at the end of a conversation, as one text.

Rerankers with memory (MemReranker, arXiv 2605.06132) judge passages by a question and what was said
before it. A row gives `turns`, a list of texts, the user's first and last; rerankers see them as

    User: …
    Assistant: …
    User: …

so that every reranker takes them, whatever it makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SPEAKERS = ("User", "Assistant")


def query_text(row: Mapping[str, Any]) -> str:
    """The text of a question: `text`, or `turns` as one text.

    Raises:
        ValueError: both, or turns that are no conversation.
        KeyError: neither.
    """
    if "turns" not in row:
        text = row["text"]
        if not isinstance(text, str):
            raise ValueError(f"'text' is a {type(text).__name__}, not a string")
        return text
    if row.get("text") is not None:
        raise ValueError("'text' and 'turns' are both given; leave one out")
    return conversation(row["turns"])


def conversation(turns: Sequence[str]) -> str:
    """Turns as one text; a single one is itself.

    >>> conversation(["Where is it?", "In Oslo.", "And when?"])
    'User: Where is it?\\nAssistant: In Oslo.\\nUser: And when?'

    Raises:
        ValueError: not a list of texts, or one that does not end with the user's turn.
    """
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        raise ValueError("'turns' must be a list of texts")
    if len(turns) % 2 == 0:
        raise ValueError(
            f"'turns' holds {len(turns)} texts; the user speaks first and last, so give an odd "
            "number"
        )
    if len(turns) == 1:
        return turns[0]
    lines = (f"{SPEAKERS[place % 2]}: {turn}" for place, turn in enumerate(turns))
    return "\n".join(lines)
