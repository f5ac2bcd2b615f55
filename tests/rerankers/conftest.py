"""Fixtures that late interaction and rerankers share."""

from ..late_interaction.conftest import dense, put_on, stopped, texts, words

__all__ = ["dense", "put_on", "stopped", "texts", "words"]
