"""What a training says of itself where it went, or will go, another way than was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polyrank.corpus.foreign import foreigners
from polyrank.progress import note

LOOKED_AT = 500  # texts, spread evenly
SHARE = 0.2  # of them in another language, from which on it is told


def tell_foreign(texts: Sequence[str], language: str) -> None:
    """Say where much of a text is not in the language that it is to teach."""
    some = texts[:: max(1, len(texts) // LOOKED_AT)]
    others = [one for one in foreigners(language)(some) if one is not None]
    if len(others) > SHARE * len(some):
        tags = [one.language for one in others]
        most = max(sorted(set(tags)), key=tags.count)
        note(
            f"{len(others)} of {len(some)} texts that were looked at are not in '{language}', most "
            f"seem to be in '{most}'; give the right --language, or remove them with 'polyrank "
            "corpus clean'"
        )


def tell_worse(before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """Say which measures on held-out text the training made worse: perplexity is better low, all
    others high."""
    worse = [
        name
        for name in before
        if (after[name] > before[name] if name == "perplexity" else after[name] < before[name])
    ]
    if worse:
        note(
            f"held-out {' and '.join(worse)} got worse; train on more text, with fewer --steps or "
            "a lower --rate, and do not use this module before it is measured"
        )
