"""Distillation of a teacher's distribution over a query's candidates."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import TEMPERATURE, Named


def kl(scores: Tensor, teacher: Tensor | None, mask: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(scores / T)) over each query's candidates (ColBERTv2:
    Santhanam et al. 2022, arXiv 2112.01488, §3.2, with T = 1; DeAR: arXiv 2508.16998, with T = 2).

    Gradients of the divergence shrink as 1/T²; the factor T² keeps the weight of this loss beside
    another the same whatever T is (Hinton et al. 2015, arXiv 1503.02531, §2).

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores, (B, N).
        mask: True where a candidate exists, (B, N).
        temperature: T.

    Returns:
        Scalar: the mean over queries.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("kl", scores, mask) / temperature
    theirs = lists.targets("kl", teacher, mask) / temperature
    target = lists.log_softmax(theirs, mask)  # (B, N)
    divergence = lists.softmax(theirs, mask) * (target - lists.log_softmax(ours, mask))
    return temperature**2 * divergence.sum(dim=1).mean()


KL = Named(
    "kl",
    kl,
    "T² · KL from the teacher's softmax over the candidates",
    "ColBERTv2: 2112.01488; T²: Hinton et al. 2015, 1503.02531",
    needs_teacher=True,
    parameters=TEMPERATURE,
)
