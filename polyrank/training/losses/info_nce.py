"""Cross-entropy of the positive among its candidates."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import TEMPERATURE, Named


def info_nce(
    scores: Tensor, teacher: Tensor | None, mask: Tensor, temperature: float = 1.0
) -> Tensor:
    """Listwise softmax cross-entropy (van den Oord et al. 2018, arXiv 1807.03748, eq. 4).

    Args:
        scores: logits, (B, N), the positive in column 0.
        teacher: not used.
        mask: True where a candidate exists, (B, N).
        temperature: what the scores are divided by.

    Returns:
        Scalar: the mean over queries of -log softmax(scores / temperature)[0].

    Raises:
        ValueError: when a query has no negative.
    """
    logits = lists.student("infonce", scores, mask)
    lists.negatives("infonce", mask)
    return -lists.log_softmax(logits / temperature, mask)[:, 0].mean()


INFO_NCE = Named(
    "infonce",
    info_nce,
    "softmax cross-entropy of the positive among its candidates",
    "van den Oord et al. 2018, 1807.03748",
    parameters=TEMPERATURE,
)
