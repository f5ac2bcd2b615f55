"""Losses by name, and weighted sums of them: 'infonce+0.5*margin_mse', 'kl(temperature=2)'."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from polyrank.errors import UsageError
from polyrank.training.losses.adr_mse import ADR_MSE
from polyrank.training.losses.in_batch_softmax import IN_BATCH_SOFTMAX
from polyrank.training.losses.info_nce import INFO_NCE
from polyrank.training.losses.kl import KL
from polyrank.training.losses.lambda_ndcg import LAMBDA_NDCG
from polyrank.training.losses.list_mle import LIST_MLE
from polyrank.training.losses.list_net import LIST_NET
from polyrank.training.losses.margin_mse import MARGIN_MSE
from polyrank.training.losses.min_max_kl import MIN_MAX_KL
from polyrank.training.losses.named import Named
from polyrank.training.losses.pairwise_softmax import PAIRWISE_SOFTMAX
from polyrank.training.losses.partial_ranking import PARTIAL_RANKING
from polyrank.training.losses.pointwise import POINTWISE, SOFT_POINTWISE
from polyrank.training.losses.rank_gap_hinge import RANK_GAP_HINGE
from polyrank.training.losses.rank_net import RANK_NET, WEIGHTED_RANK_NET
from polyrank.training.losses.sigmoid_mse import SIGMOID_MSE
from polyrank.training.losses.soft_cross_entropy import SOFT_CROSS_ENTROPY
from polyrank.training.losses.sums import Aliases, number, read_sum, typed

# A row a loss, in the order in which they are listed: the value that ends its file.
LOSSES: dict[str, Named] = {
    named.name: named
    for named in (
        POINTWISE,
        INFO_NCE,
        PAIRWISE_SOFTMAX,
        IN_BATCH_SOFTMAX,
        MARGIN_MSE,
        KL,
        MIN_MAX_KL,
        SOFT_CROSS_ENTROPY,
        SOFT_POINTWISE,
        SIGMOID_MSE,
        LIST_NET,
        LIST_MLE,
        RANK_NET,
        WEIGHTED_RANK_NET,
        LAMBDA_NDCG,
        ADR_MSE,
        RANK_GAP_HINGE,
        PARTIAL_RANKING,
    )
}

ALIASES: Aliases = {
    "contrastive": (("pairwise_softmax", 1.0), ("in_batch_softmax", 1.0)),
}
SOURCES = {"contrastive": "ColBERT-XM: 2402.15059"}


def aliases() -> Aliases:
    """Those, and the names of the functions, such as 'info_nce'."""
    functions = {named.function.__name__: named.name for named in LOSSES.values()}
    own = {alias: ((name, 1.0),) for alias, name in functions.items() if alias != name}
    return {**ALIASES, **own}


@dataclass(frozen=True)
class Term:
    """One loss of a sum: a name of `LOSSES`, its weight, and the parameters that were given."""

    loss: str
    weight: float = 1.0
    parameters: tuple[tuple[str, float], ...] = ()

    @property
    def named(self) -> Named:
        return LOSSES[self.loss]

    @property
    def name(self) -> str:
        """As it would be typed; defaults and a weight of 1 are left out."""
        return typed(self.loss, self.weight, self.parameters, self.named.parameters)

    def __call__(self, scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
        """The weighted loss; what it takes is said in its own docstring."""
        return self.weight * self.named.function(scores, teacher, mask, **dict(self.parameters))


@dataclass(frozen=True)
class Loss:
    """A weighted sum of losses, callable as (scores (B, N), teacher (B, N) or None, mask (B, N)).

    `name` is the canonical text, which `parse_loss` reads back to the same value.
    """

    terms: tuple[Term, ...]

    @property
    def name(self) -> str:
        return "+".join(term.name for term in self.terms)

    @property
    def needs_teacher(self) -> bool:
        return any(term.named.needs_teacher for term in self.terms)

    @property
    def in_batch(self) -> bool:
        """Whether a term takes the scores of other queries' passages too."""
        return any(term.named.in_batch for term in self.terms)

    def __str__(self) -> str:
        return self.name

    def __call__(self, scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
        """The sum, a scalar in fp32.

        Raises:
            ValueError: scores that a term cannot take, or no teacher where one needs it.
        """
        if self.in_batch:
            raise ValueError(f"{self} has an in-batch term; call its terms one by one")
        first, *rest = (term(scores, teacher, mask) for term in self.terms)
        return sum(rest, first)


def parse_loss(text: str, in_batch: bool = False) -> Loss:
    """A loss by its name, or a weighted sum: 'infonce', 'kl(temperature=2)+0.1*infonce'.

    '-' and '_' in names are the same, as are capitals; spaces do not count.

    Args:
        in_batch: whether the caller has scores for losses over all passages of a batch.

    Raises:
        UsageError: what cannot be read, or a name, parameter or value that there is none of.
    """
    known = {name: named.parameters for name, named in LOSSES.items()}
    example = "infonce+0.5*margin_mse or kl(temperature=2)+0.1*infonce"
    loss = Loss(tuple(Term(*term) for term in read_sum(text, known, aliases(), example)))
    if loss.in_batch and not in_batch:
        raise UsageError(
            f"the loss '{loss}' takes scores of other queries' passages, which only late "
            "interaction and dot products have; use infonce"
        )
    return loss


def catalogue() -> str:
    """All names, a line each: parameters with defaults, what it is, its source."""
    lines = []
    for name, named in LOSSES.items():
        told = ", ".join(f"{k}={number(p.default)}" for k, p in named.parameters.items())
        lines.append(
            "\t".join(
                (
                    f"{name}({told})" if told else name,
                    "teacher" if named.needs_teacher else "labels",
                    named.summary,
                    named.source,
                )
            )
        )
    for alias, terms in ALIASES.items():
        lines.append(f"{alias}\tlabels\t{'+'.join(name for name, _ in terms)}\t{SOURCES[alias]}")
    return "\n".join(lines)
