"""Losses by name, and weighted sums of them: 'infonce+0.5*margin_mse', 'kl(temperature=2)'."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from polyrank.errors import UsageError
from polyrank.training.losses.adr_mse import adr_mse
from polyrank.training.losses.in_batch_softmax import in_batch_softmax
from polyrank.training.losses.info_nce import info_nce
from polyrank.training.losses.kl import kl
from polyrank.training.losses.lambda_ndcg import lambda_ndcg
from polyrank.training.losses.list_mle import list_mle
from polyrank.training.losses.list_net import list_net
from polyrank.training.losses.margin_mse import margin_mse
from polyrank.training.losses.min_max_kl import min_max_kl
from polyrank.training.losses.pairwise_softmax import pairwise_softmax
from polyrank.training.losses.partial_ranking import partial_ranking
from polyrank.training.losses.pointwise import pointwise, soft_pointwise
from polyrank.training.losses.rank_gap_hinge import rank_gap_hinge
from polyrank.training.losses.rank_net import rank_net, weighted_rank_net
from polyrank.training.losses.soft_cross_entropy import soft_cross_entropy
from polyrank.training.losses.sums import Aliases, Parameter, number, read_sum, typed


@dataclass(frozen=True)
class Named:
    """A loss that has a name.

    in_batch: it takes the scores of every query with every passage of a batch, (B, M), and the
    columns of the positives in place of a teacher.
    """

    function: Callable[..., Tensor]
    summary: str
    source: str
    needs_teacher: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    in_batch: bool = False


TEMPERATURE = {"temperature": Parameter(1.0)}

LOSSES: dict[str, Named] = {
    "pointwise": Named(
        pointwise, "binary cross-entropy of each pair", "Nogueira & Cho 2019, 1901.04085"
    ),
    "infonce": Named(
        info_nce,
        "softmax cross-entropy of the positive among its candidates",
        "van den Oord et al. 2018, 1807.03748",
        parameters=TEMPERATURE,
    ),
    "pairwise_softmax": Named(
        pairwise_softmax,
        "the positive against each negative on its own",
        "ColBERT: Khattab & Zaharia 2020, 2004.12832",
    ),
    "in_batch_softmax": Named(
        in_batch_softmax,
        "the positive among all passages of a batch (late interaction only)",
        "ColBERTv2: Santhanam et al. 2022, 2112.01488",
        in_batch=True,
    ),
    "margin_mse": Named(
        margin_mse,
        "the teacher's margins between the positive and each negative",
        "Hofstätter et al. 2020, 2010.02666",
        True,
    ),
    "kl": Named(
        kl,
        "T² · KL from the teacher's softmax over the candidates",
        "ColBERTv2: 2112.01488; T²: Hinton et al. 2015, 1503.02531",
        True,
        TEMPERATURE,
    ),
    "min_max_kl": Named(
        min_max_kl,
        "KL of scores brought to [0, 1] per query",
        "JaColBERTv2.5: Clavié 2024, 2407.20750",
        True,
    ),
    "soft_cross_entropy": Named(
        soft_cross_entropy,
        "cross-entropy against the teacher's softmax at T, without T²",
        "BiStil: Ansell et al. 2023, 2306.01709",
        True,
        {"temperature": Parameter(2.0)},
    ),
    "soft_pointwise": Named(
        soft_pointwise,
        "binary cross-entropy of each pair against σ(teacher)",
        "MemReranker: 2605.06132",
        True,
    ),
    "listnet": Named(
        list_net, "cross-entropy of the top-one probabilities", "Cao et al. 2007, ICML", True
    ),
    "listmle": Named(
        list_mle,
        "likelihood of the teacher's order, of its first `top` (0: all)",
        "Xia et al. 2008, ICML",
        True,
        {"top": Parameter(0, whole=True, zero=True)},
    ),
    "ranknet": Named(
        rank_net,
        "each pair in the teacher's order",
        "Burges et al. 2005, ICML; 2603.03010",
        True,
    ),
    "weighted_ranknet": Named(
        weighted_rank_net,
        "RankNet with pairs weighted by 1 / (r_i + r_j)",
        "FIRST: Gangi Reddy et al. 2024, 2406.15657",
        True,
    ),
    "lambda_ndcg": Named(
        lambda_ndcg,
        "pairs weighted by what their exchange costs in nDCG",
        "LambdaLoss: Wang et al. 2018, CIKM",
        True,
        {"grades": Parameter(3.0), "mu": Parameter(10.0, zero=True)},
    ),
    "adr_mse": Named(
        adr_mse,
        "approximate ranks at the teacher's ranks, the top counting most",
        "Rank-DistiLLM: Schlatt et al. 2024, 2405.07920",
        True,
        TEMPERATURE,
    ),
    "rank_gap_hinge": Named(
        rank_gap_hinge,
        "a margin for each rank that two candidates are apart",
        "BRIO: Liu et al. 2022, 2203.16804",
        True,
        {"margin": Parameter(0.001, zero=True)},
    ),
    "partial_ranking": Named(
        partial_ranking,
        "the teacher's order of the student's `top` hardest negatives (add infonce)",
        "after CPRD: 2407.07479",
        True,
        {
            "top": Parameter(8, whole=True),
            **TEMPERATURE,
            "within": Parameter(math.inf),
        },
    ),
}

ALIASES: Aliases = {
    "contrastive": (  # ColBERT-XM: 2402.15059, §3.2
        ("pairwise_softmax", 1.0),
        ("in_batch_softmax", 1.0),
    ),
    "info_nce": (("infonce", 1.0),),
    "list_net": (("listnet", 1.0),),
    "list_mle": (("listmle", 1.0),),
    "rank_net": (("ranknet", 1.0),),
    "weighted_rank_net": (("weighted_ranknet", 1.0),),
}


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
    loss = Loss(tuple(Term(*term) for term in read_sum(text, known, ALIASES, example)))
    if loss.in_batch and not in_batch:
        raise UsageError(
            f"the loss '{loss}' takes scores of other queries' passages, which only late "
            "interaction has; use infonce"
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
    sum_of = "+".join(name for name, _ in ALIASES["contrastive"])
    return "\n".join([*lines, f"contrastive\tlabels\t{sum_of}\tColBERT-XM: 2402.15059"])
