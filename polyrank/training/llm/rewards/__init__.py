"""Rewards of answers, as plain functions on texts and labels: one in each file."""

from __future__ import annotations

from polyrank.training.llm.rewards.exact_answer import exact_answer_reward
from polyrank.training.llm.rewards.group_grades import group_reward, jensen_shannon
from polyrank.training.llm.rewards.reciprocal_rank import rank_rewards
from polyrank.training.llm.rewards.relevance import relevance_reward

__all__ = [
    "exact_answer_reward",
    "group_reward",
    "jensen_shannon",
    "rank_rewards",
    "relevance_reward",
]
