"""The table of objectives: what each trains for, its prompt, and its usual losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from polyrank.errors import UsageError

if TYPE_CHECKING:
    from polyrank.training.llm.asked import LLMObjective


@dataclass(frozen=True)
class ObjectiveEntry:
    """An objective.

    module, name: where its class is; imported when it is first used.
    scorer: of the reranker that it trains.
    prompt: that is used unless another is given.
    loss: of scores; empty where none are compared. then: the second stage's.
    generation: weight of imitating answers; None where there are none to imitate.
    scored: whether every question needs a teacher's scores, beside what a loss needs.
    mixed: whether questions without scores may stand among those with, whatever the loss.
    """

    help: str
    module: str
    name: str
    scorer: str
    prompt: str
    loss: str = ""
    then: str = ""
    generation: float | None = None
    scored: bool = False
    mixed: bool = False

    def load(self) -> type[LLMObjective]:
        """The class."""
        module = import_module(f"polyrank.training.llm.{self.module}")
        found: type[LLMObjective] = getattr(module, self.name)
        return found


OBJECTIVES: Mapping[str, ObjectiveEntry] = {
    "label": ObjectiveEntry(
        "the logit of a word for each document, by any loss (ProRank, DeAR)",
        "label", "LabelObjective", "label", "label", loss="pointwise",
    ),
    "memory": ObjectiveEntry(
        "the same in two stages: soft labels, then hard negatives (MemReranker)",
        "label", "LabelObjective", "label", "label-qwen3", loss="soft_pointwise", then="infonce",
    ),
    "letters": ObjectiveEntry(
        "the order of a list by the logits of one position, and as a text (FIRST)",
        "letters", "LettersObjective", "letters", "letters",
        loss="10*weighted_ranknet", generation=1.0, scored=True,
    ),
    "setwise": ObjectiveEntry(
        "the best document of a few (Rank-R1's imitation)",
        "setwise", "SetwiseObjective", "setwise", "setwise", loss="infonce", generation=0.0,
    ),
    "listwise": ObjectiveEntry(
        "a teacher's order as a text, with reasoning where the rows have some (RankGPT, DeAR)",
        "listwise", "ListwiseObjective", "listwise", "listwise", generation=1.0, scored=True,
    ),
    "groupwise": ObjectiveEntry(
        "grades of a group in JSON (GroupRank's imitation)",
        "groupwise", "GroupwiseObjective", "groupwise", "groupwise", generation=1.0, scored=True,
    ),
    "integers": ObjectiveEntry(
        "a grade for each document (ERank's imitation)",
        "integers", "IntegersObjective", "integers", "integers", generation=1.0, scored=True,
    ),
    "evidence": ObjectiveEntry(
        "a probability, and what a document contributes (Prism)",
        "evidence", "EvidenceObjective", "evidence", "evidence",
        loss="sigmoid_mse", generation=1.0, mixed=True,
    ),
    "selector": ObjectiveEntry(
        "a short answer and the documents that were of use (utility-based selection)",
        "selector", "SelectorObjective", "selector", "selector", generation=1.0,
    ),
}  # fmt: skip


def entry_of(objective: str) -> ObjectiveEntry:
    """The row of an objective.

    Raises:
        UsageError: there is none of that name.
    """
    if objective not in OBJECTIVES:
        raise UsageError(f"unknown objective '{objective}'; use one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[objective]
