"""Rerankers by language models: every way in which the literature scores with one.

    SCORERS             what there is: label, integers, letters, setwise, groupwise, listwise, ...
    load_llm_reranker   a model or server, a scorer and a prompt → a reranker

An engine runs the model (`engines/`), a prompt says what it is asked (`prompts/*.yaml`), and each
scorer is a file here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrank.rerankers.llm.load import load_llm_reranker
    from polyrank.rerankers.llm.scorers import SCORERS

__all__ = ["SCORERS", "load_llm_reranker"]


def __getattr__(name: str) -> Any:
    """Import a name at its first use (PEP 562)."""
    if name == "SCORERS":
        from polyrank.rerankers.llm import scorers

        return scorers.SCORERS
    if name == "load_llm_reranker":
        from polyrank.rerankers.llm import load

        return load.load_llm_reranker
    raise AttributeError(f"module 'polyrank.rerankers.llm' has no attribute {name!r}")
