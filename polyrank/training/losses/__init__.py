"""Ranking losses, one a file, on lists of scores (B, N), and weighted sums of them by name."""

from polyrank.training.losses.adr_mse import adr_mse
from polyrank.training.losses.by_name import LOSSES, Loss, Term, catalogue, parse_loss
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
from polyrank.training.losses.sigmoid_mse import sigmoid_mse
from polyrank.training.losses.soft_cross_entropy import soft_cross_entropy

__all__ = [
    "LOSSES",
    "Loss",
    "Term",
    "adr_mse",
    "catalogue",
    "in_batch_softmax",
    "info_nce",
    "kl",
    "lambda_ndcg",
    "list_mle",
    "list_net",
    "margin_mse",
    "min_max_kl",
    "pairwise_softmax",
    "parse_loss",
    "partial_ranking",
    "pointwise",
    "rank_gap_hinge",
    "rank_net",
    "sigmoid_mse",
    "soft_cross_entropy",
    "soft_pointwise",
    "weighted_rank_net",
]
