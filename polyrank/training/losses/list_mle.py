"""ListMLE: the likelihood of the teacher's order."""

from __future__ import annotations

import torch
from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named
from polyrank.training.losses.sums import Parameter


def list_mle(
    scores: Tensor,
    teacher: Tensor | None,
    mask: Tensor,
    top: int = 0,
    tail: Tensor | None = None,
) -> Tensor:
    """−log P(teacher's order | scores) of the Plackett–Luce model (Xia et al. 2008, ICML, eq. 5).

    Σ_k log(Σ_{j not above k} exp s_j) − s_k. Candidates of equal teacher scores are each in the sum
    of the others (Breslow 1974, Biometrics 30), so that the value does not depend on the order in
    which they happen to stand.

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores, (B, N); only their order counts.
        mask: True where a candidate exists, (B, N).
        top: only the teacher's first so many have a term; all still stand in the sums. 0 for all.
            Those that share the last place all have one.
        tail: logits of further candidates that stand below all, (B, M), −inf for none.

    Returns:
        Scalar: the mean over queries of the sum over their terms.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("listmle", scores, mask)
    theirs = lists.targets("listmle", teacher, mask)
    terms = places(ours, theirs, mask, tail)
    first = mask if top == 0 else mask & (lists.better(theirs, mask).sum(dim=1) < top)
    return (terms * first).sum(dim=1).mean()


def places(scores: Tensor, teacher: Tensor, mask: Tensor, tail: Tensor | None = None) -> Tensor:
    """−log of the chance that k is drawn among all that are not above it, (B, N); 0 at padding.

    Args:
        scores, teacher, mask: (B, N), fp32.
        tail: logits that stand below all, (B, M).
    """
    # [k, j]: j is not above k. Padding keeps itself, so that no sum is empty.
    below = lists.pairs(mask) & ~lists.better(teacher, mask).transpose(1, 2)
    below = below | torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    logits = scores[:, None, :].masked_fill(~below, float("-inf"))  # (B, N, N)
    if tail is not None:
        further = tail[:, None, :].to(scores.dtype).expand(-1, scores.shape[1], -1)
        logits = torch.cat([logits, further], dim=2)
    return (logits.logsumexp(dim=2) - scores).masked_fill(~mask, 0.0)


LIST_MLE = Named(
    "listmle",
    list_mle,
    "likelihood of the teacher's order, of its first `top` (0: all)",
    "Xia et al. 2008, ICML",
    needs_teacher=True,
    parameters={"top": Parameter(0, whole=True, zero=True)},
)
