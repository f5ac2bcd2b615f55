"""How a language model is trained to rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyrank.errors import UsageError
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.llm.objectives import ObjectiveEntry, entry_of

if TYPE_CHECKING:
    from polyrank.training.losses import Loss

NO_LOSS = "none"  # as typed: no loss of scores
FULL_RATE, LORA_RATE = 2e-5, 1e-4


@dataclass(frozen=True)
class LowRank:
    """LoRA (Hu et al. 2021, arXiv 2106.09685) on all linear layers but the output's.

    Attributes:
        rank: r; 0 to train all weights.
        alpha: updates are scaled by alpha / rank.
        dropout: of what goes into an update.
        merge: whether the updates are added to the weights in the end.
    """

    rank: int = 0
    alpha: int = 32
    dropout: float = 0.05
    merge: bool = False


@dataclass(frozen=True)
class LLMRecipe:
    """The options of `train_llm_reranker`, which explains them, checked.

    Raises:
        UsageError: an unknown objective or loss, or options that do not fit together.
    """

    model: str
    rows: JudgedRows
    objective: str = "label"
    prompt: str | None = None
    loss: str | None = None
    then: str | None = None
    generation: float | None = None
    steps: int = 500
    batch_queries: int = 4
    negatives: int = 3
    accumulate: int = 1
    length: int = 1024
    document_tokens: int | None = None
    rate: float | None = None
    lora: LowRank = LowRank()
    checkpointing: bool = False
    held_out: int = 0
    seed: int = 13

    def __post_init__(self) -> None:
        from polyrank.training.examples.teachers import check_teachers

        entry = self.entry
        if self.loss not in (None, NO_LOSS) and not entry.loss:
            raise UsageError(
                f"--loss would be ignored: the objective '{self.objective}' imitates answers and "
                "reads no scores; leave it out"
            )
        if self.generation and entry.generation is None:
            raise UsageError(
                f"--generation would be ignored: the objective '{self.objective}' has no answers "
                "to imitate; leave it out"
            )
        if self.losses == (None, None) and not self.weight:
            raise UsageError(
                "there is nothing to learn: neither a loss of scores nor answers to imitate; give "
                "--loss, or --generation above 0"
            )
        names = " and ".join(loss.name for loss in filter(None, self.losses)) or self.objective
        check_teachers(self.rows.teachers, self.rows.scale, self.needs_scores, names)
        if self.lora.merge and not self.lora.rank:
            raise UsageError("--merge is for LoRA; give --lora RANK, or leave it out")

    @property
    def entry(self) -> ObjectiveEntry:
        """The row of the objective."""
        return entry_of(self.objective)

    @property
    def losses(self) -> tuple[Loss | None, Loss | None]:
        """The losses of scores of both halves; None for none."""
        first = self.entry.loss if self.loss is None else self.loss
        second = self.then or (self.entry.then if self.loss is None else "") or first
        return _loss(first), _loss(second)

    @property
    def weight(self) -> float:
        """Of imitating answers."""
        return (self.entry.generation or 0.0) if self.generation is None else self.generation

    @property
    def needs_scores(self) -> bool:
        """Whether a teacher's scores are of use."""
        return self.entry.scored or any(loss.needs_teacher for loss in filter(None, self.losses))

    @property
    def peak_rate(self) -> float:
        """The rate, or the usual one."""
        return self.rate or (LORA_RATE if self.lora.rank else FULL_RATE)


def _loss(text: str) -> Loss | None:
    from polyrank.training.losses import parse_loss

    return parse_loss(text) if text and text != NO_LOSS else None
