"""Language models that learn to rank: an objective a file, see `objectives`."""

from __future__ import annotations

from polyrank.training.llm.train_llm import train_llm_reranker

__all__ = ["train_llm_reranker"]
