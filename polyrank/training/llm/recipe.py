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
FULL_RATE, LORA_RATE, REWARD_RATE = 2e-5, 1e-4, 1e-6


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

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; give a share from 0 to below 1")


@dataclass(frozen=True)
class Policy:
    """How answers are drawn that a reward judges.

    Attributes:
        reward: a name of `REWARDS`; None to learn from rows alone.
        answers: drawn for each prompt (G); the reward of one counts against their mean.
        tokens: of an answer, at most.
        temperature: of the draw.
        beta: weight of staying near the model of the start (KL).
    """

    reward: str | None = None
    answers: int = 8
    tokens: int = 256
    temperature: float = 1.0
    beta: float = 0.0


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
    policy: Policy = Policy()
    seed: int = 13

    def __post_init__(self) -> None:
        entry = self.entry
        for option, given in (("loss", self.loss), ("then", self.then)):
            if given not in (None, NO_LOSS) and not entry.loss:
                raise UsageError(
                    f"--{option} would be ignored: the objective '{self.objective}' imitates "
                    "answers and reads no scores; leave it out"
                )
        if self.generation and entry.generation is None:
            raise UsageError(
                f"--generation would be ignored: the objective '{self.objective}' has no answers "
                "to imitate; leave it out"
            )
        if self.policy.reward is None:
            self._check_losses()
        else:
            self._check_reward(self.policy.reward)
        if self.lora.merge and not self.lora.rank:
            raise UsageError("--merge is for LoRA; give --lora RANK, or leave it out")

    def _check_losses(self) -> None:
        from polyrank.training.examples.teachers import check_teachers

        if self.losses == (None, None) and not self.weight:
            raise UsageError(
                "there is nothing to learn: neither a loss of scores nor answers to imitate; give "
                "--loss, or --generation above 0"
            )
        names = " and ".join(loss.name for loss in filter(None, self.losses)) or self.objective
        check_teachers(self.rows.teachers, self.rows.scale, self.needs_scores, names)

    def _check_reward(self, name: str) -> None:
        from polyrank.training.examples.teachers import check_teachers
        from polyrank.training.llm.rewards.by_name import reward_of

        reward = reward_of(name)
        if reward.objective != self.objective:
            raise UsageError(
                f"the reward '{name}' judges answers to the prompts of the objective "
                f"'{reward.objective}', not '{self.objective}'; give --objective {reward.objective}"
            )
        for option in ("loss", "then", "generation"):
            if getattr(self, option) is not None:
                raise UsageError(f"--{option} would be ignored beside --reward; leave it out")
        if self.rows.teachers and not reward.graded:
            raise UsageError(
                f"--teacher would be ignored: the reward '{name}' reads no scores; leave it out"
            )
        check_teachers(self.rows.teachers, self.rows.scale, True, name)
        if self.policy.answers < 2:
            raise UsageError(
                "--answers must be 2 or more: the reward of an answer counts against the others"
            )

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
    def asks(self) -> str:
        """The name of the prompt."""
        from polyrank.training.llm.rewards.by_name import reward_of

        reward = self.policy.reward
        return self.prompt or (reward_of(reward).prompt if reward else self.entry.prompt)

    @property
    def needs_scores(self) -> bool:
        """Whether a teacher's scores are of use."""
        return self.policy.reward is None and self._compares

    @property
    def _compares(self) -> bool:
        return self.entry.scored or any(loss.needs_teacher for loss in filter(None, self.losses))

    @property
    def peak_rate(self) -> float:
        """The rate, or the usual one."""
        usual = LORA_RATE if self.lora.rank else FULL_RATE
        return self.rate or (REWARD_RATE if self.policy.reward and not self.lora.rank else usual)


def _loss(text: str) -> Loss | None:
    from polyrank.training.losses import parse_loss

    return parse_loss(text) if text and text != NO_LOSS else None
