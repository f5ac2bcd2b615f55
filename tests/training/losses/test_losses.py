"""Every loss through one table: by hand, padded, permuted, in fp16, and its gradient."""

from __future__ import annotations

import math
import re

import pytest
import torch

from polyrank.errors import UsageError
from polyrank.training import losses
from polyrank.training.language import language_objective
from polyrank.training.losses import LOSSES, Loss, Term, lists, parse_loss

ln = math.log


def log2(x):
    return ln(x) / ln(2)


# The student's 2 : 1 against the teacher's 1 : 3, a third candidate being padding.
SCORES = [ln(2.0), 0.0, 90.0]
TEACHER = [0.0, ln(3.0), -90.0]
WRONG = ln(1 + 2.0)  # softplus(s_0 - s_1): the pair that the teacher has the other way round
GAIN = (2**3 - 1) / 7  # of the teacher's first, maxDCG being 7
RHO = 1 - 1 / log2(3)  # places 1 and 2
HAND = {
    "pointwise": -(ln(2 / 3) + ln(1 / 2)) / 2,
    "infonce": -ln(2 / 3),
    "infonce(temperature=0.5)": -ln(4 / 5),  # scores doubled: 4 : 1
    "pairwise_softmax": -ln(2 / 3),
    "margin_mse": (ln(2) + ln(3)) ** 2,
    "kl": 1 / 4 * ln(1 / 4 / (2 / 3)) + 3 / 4 * ln(3 / 4 / (1 / 3)),
    # scores halved: √2 : 1 and 1 : √3; times 2²
    "kl(temperature=2)": 4
    * sum(
        p * ln(p / q)
        for p, q in zip(
            (1 / (1 + 3**0.5), 3**0.5 / (1 + 3**0.5)),
            (2**0.5 / (1 + 2**0.5), 1 / (1 + 2**0.5)),
            strict=True,
        )
    ),
    # 0, 1 against 1, 0: (e - 1) / (e + 1), the difference of the logarithms being 1 either way
    "min_max_kl": (math.e - 1) / (math.e + 1),
    "soft_cross_entropy": -(
        1 / (1 + 3**0.5) * ln(2**0.5 / (1 + 2**0.5)) + 3**0.5 / (1 + 3**0.5) * ln(1 / (1 + 2**0.5))
    ),
    "sigmoid_mse": ((2 / 3 - 1 / 2) ** 2 + (1 / 2 - 3 / 4) ** 2) / 2,
    "soft_pointwise": -(
        (1 / 2 * ln(2 / 3) + 1 / 2 * ln(1 / 3)) + (3 / 4 * ln(1 / 2) + 1 / 4 * ln(1 / 2))
    )
    / 2,
    "listnet": -(1 / 4 * ln(2 / 3) + 3 / 4 * ln(1 / 3)),
    "listmle": -ln(1 / 3),
    "listmle(top=1)": -ln(1 / 3),
    "ranknet": WRONG,
    "weighted_ranknet": WRONG / 3,
    # δ of neighbours: 1/log2(2) - 1/log2(3), which is ρ here
    "lambda_ndcg": 11 * RHO * GAIN * log2(3),
    "lambda_ndcg(mu=0)": RHO * GAIN * log2(3),
    # r̂ = 1 + σ(-ln 2) = 4/3, 1 + σ(ln 2) = 5/3; r = 2, 1
    "adr_mse": ((4 / 3 - 2) ** 2 / log2(3) + (5 / 3 - 1) ** 2 / log2(2)) / 2,
    "rank_gap_hinge": ln(2) + 0.001,
    "rank_gap_hinge(margin=0.5)": ln(2) + 0.5,
}
# Those that need a longer list: scores as weights, the teacher's scores.
LONGER = {
    # student 1 : 2 : 3 : 4 by weight, the teacher's order is 3, 2, 1 (columns) among the negatives
    "partial_ranking": ([1, 2, 3, 4], [9, 1, 2, 3], (-ln(4 / 9) - ln(3 / 5) - ln(2 / 2)) / 3),
    # the two hardest are 3 and 2; 1 is the tail
    "partial_ranking(top=2)": ([1, 2, 3, 4], [9, 1, 2, 3], (-ln(4 / 9) - ln(3 / 5)) / 2),
    "partial_ranking(top=2,temperature=0.5)": (
        [1, 2, 3, 4],
        [9, 1, 2, 3],
        (-ln(16 / 29) - ln(9 / 13)) / 2,
    ),
    # column 3 is 8 below the positive, so it is easy: only column 2 is ranked, above 1 and 3
    "partial_ranking(top=2,within=7)": ([1, 2, 3, 4], [9, 1, 2, 1], -ln(3 / 9)),
    "listmle": ([1, 2, 3, 4], [4, 3, 2, 1], -ln(1 / 10) - ln(2 / 9) - ln(3 / 7)),
    "listmle(top=2)": ([1, 2, 3, 4], [4, 3, 2, 1], -ln(1 / 10) - ln(2 / 9)),
    "ranknet": ([1, 2, 3], [3, 3, 1], (ln(1 + 3) + ln(1 + 3 / 2)) / 2),  # the tie is not a pair
    "weighted_ranknet": ([1, 2, 3], [3, 2, 1], (ln(3) / 3 + ln(4) / 4 + ln(5 / 2) / 5) / 3),
    # ties are in each other's sums
    "listmle(top=1)": ([1, 2, 3], [3, 3, 1], -ln(1 / 6) - ln(2 / 6)),
    # ranks 1.5, 1.5, 3
    "adr_mse": (
        [1, 1, 1],
        [3, 3, 1],
        ((2 - 1.5) ** 2 / log2(2.5) * 2 + (2 - 3) ** 2 / log2(4)) / 3,
    ),
    "rank_gap_hinge(margin=1)": ([1, 1, 1], [3, 2, 1], (1 + 1 + 2) / 3),
}
ORDER = {"ranknet", "weighted_ranknet", "listmle", "adr_mse", "rank_gap_hinge", "partial_ranking"}
POSITIVE = {"pointwise", "infonce", "pairwise_softmax", "margin_mse", "partial_ranking"}
EVERY = sorted(name for name, named in LOSSES.items() if not named.in_batch)


@pytest.fixture
def batch():
    """Scores, a teacher with ties, and a mask of lists of 6, 4 and 2."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 6, generator=generator)
    teacher = torch.tensor([[3.0, 1, 1, 0, -2, 0.5], [2, 2, -1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [True] * 2 + [False] * 4])
    return scores, teacher, mask


def test_each_loss_is_in_the_table():
    assert {parse_loss(text).terms[0].loss for text in HAND | LONGER} == set(EVERY)


@pytest.mark.parametrize("loss", HAND)
def test_by_hand(loss):
    found = parse_loss(loss)(
        torch.tensor([SCORES]), torch.tensor([TEACHER]), torch.tensor([[True, True, False]])
    )
    assert found.item() == pytest.approx(HAND[loss], abs=1e-5)


@pytest.mark.parametrize("loss", LONGER)
def test_longer_lists_by_hand(loss):
    weights, teacher, expected = LONGER[loss]
    scores = torch.tensor([weights], dtype=torch.float32).log()
    mask = torch.ones(1, len(weights), dtype=torch.bool)
    found = parse_loss(loss)(scores, torch.tensor([teacher], dtype=torch.float32), mask)
    assert found.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", EVERY)
@pytest.mark.parametrize(("extra", "filling"), [(1, 9.0), (7, -1e4), (2, math.inf), (3, math.nan)])
def test_padding_changes_neither_value_nor_gradient(batch, loss, extra, filling):
    """sentence-transformers #3827: padding in ListMLE's normaliser."""
    scores, teacher, mask = batch
    values, gradients = [], []
    for count in (0, extra):
        wide = [torch.cat([t, torch.full((3, count), filling)], 1) for t in (scores, teacher)]
        wide[0].requires_grad_()
        allowed = torch.cat([mask, torch.zeros(3, count, dtype=torch.bool)], 1)
        value = parse_loss(loss)(*wide, allowed)
        value.backward()
        values.append(value.item())
        gradients.append(wide[0].grad[:, :6])
        assert (wide[0].grad[~allowed] == 0).all()
    assert values[1] == pytest.approx(values[0], rel=1e-6)
    assert torch.allclose(*gradients, atol=1e-7)


@pytest.mark.parametrize("loss", EVERY)
def test_candidates_may_stand_in_any_order(batch, loss):
    scores, teacher, mask = batch
    expected = parse_loss(loss)(scores, teacher, mask)
    for seed in range(4):
        order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
        if loss in POSITIVE:
            order = torch.cat([torch.tensor([0]), order[order != 0]])
        found = parse_loss(loss)(*(t[:, order] for t in batch))
        assert torch.allclose(found, expected, rtol=1e-6), order


@pytest.mark.parametrize("loss", EVERY)
def test_half_precision_is_computed_in_full(batch, loss):
    """Scores of fp16 whose sigmoids, squares and exponentials fp16 cannot hold."""
    scores, teacher, mask = batch
    half = ((scores * 300).half().requires_grad_(), (teacher * 300).half())
    value = parse_loss(loss)(*half, mask)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert half[0].grad is not None and half[0].grad.isfinite().all()
    full = parse_loss(loss)(half[0].detach().float(), half[1].float(), mask)
    assert value.item() == full.item()


@pytest.mark.parametrize("loss", EVERY)
def test_the_gradient_is_that_of_the_value(batch, loss):
    """Against finite differences, in fp64."""
    scores, teacher, mask = batch
    scores = scores.double().requires_grad_()

    def value(s):
        return parse_loss(loss)(s, teacher.double(), mask)

    assert torch.autograd.gradcheck(value, (scores,), eps=1e-6, atol=1e-5)
    value(scores).backward()
    assert scores.grad is not None and scores.grad[mask].abs().sum() > 0


@pytest.mark.parametrize("loss", EVERY)
@pytest.mark.parametrize("teacher", [0.0, 1.0])
def test_equal_scores_are_finite(loss, teacher):
    scores = torch.zeros(2, 4, requires_grad=True)
    order = teacher * torch.arange(8.0).view(2, 4)
    value = parse_loss(loss)(scores, order, torch.ones(2, 4, dtype=torch.bool))
    value.backward()
    assert value.isfinite() and scores.grad is not None
    assert scores.grad.abs().max() < 100


@pytest.mark.parametrize("loss", EVERY)
def test_what_a_loss_needs(batch, loss):
    scores, teacher, mask = batch
    parsed = parse_loss(loss)
    assert parsed.needs_teacher == LOSSES[loss].needs_teacher
    if parsed.needs_teacher:
        with pytest.raises(ValueError, match=f"{loss} needs teacher scores: .*--teacher"):
            parsed(scores, None, mask)
        with pytest.raises(ValueError, match=f"{loss} needs a teacher score for each candidate"):
            parsed(scores, teacher[:, :3], mask)
    else:
        assert parsed(scores, None, mask) == parsed(scores, teacher, mask)
    with pytest.raises(ValueError, match=f"{loss} needs scores .* boolean mask"):
        parsed(scores, teacher, mask.float())
    with pytest.raises(ValueError, match=f"{loss} needs a candidate for every query"):
        parsed(scores, teacher, mask & torch.tensor([[True], [True], [False]]))
    if loss in POSITIVE - {"pointwise"}:
        only = mask & (torch.arange(6) == 0)
        with pytest.raises(ValueError, match=f"{loss} needs a negative for every query"):
            parsed(scores, teacher, only)


@pytest.mark.parametrize("loss", sorted(ORDER))
def test_losses_of_an_order_see_only_the_order(batch, loss):
    scores, teacher, mask = batch
    stretched = torch.expm1(teacher) * 7 - 2  # increasing; ties stay ties
    assert parse_loss(loss)(scores, stretched, mask) == parse_loss(loss)(scores, teacher, mask)


@pytest.mark.parametrize(
    "loss", ["infonce", "kl", "soft_cross_entropy", "adr_mse", "partial_ranking"]
)
def test_a_temperature_divides(batch, loss):
    """lightning-ir multiplies by one."""
    scores, teacher, mask = batch
    found = parse_loss(f"{loss}(temperature=4)")(scores, teacher, mask)
    expected = parse_loss(f"{loss}(temperature=1)")(scores / 4, teacher / 4, mask)
    factor = 16 if loss == "kl" else 1
    assert found.item() == pytest.approx(factor * expected.item(), rel=1e-5)
    assert "temperature" not in LOSSES["ranknet"].parameters


def test_the_softmax_is_taken_once(batch):
    """ListNet on scores that differ by a constant is the same; on probabilities it is not."""
    scores, teacher, mask = batch
    found = losses.list_net(scores + 5, teacher - 3, mask)
    assert found.item() == pytest.approx(losses.list_net(scores, teacher, mask).item(), rel=1e-5)
    once = losses.soft_cross_entropy(scores, teacher, mask, temperature=1.0)
    assert found.item() == pytest.approx(once.item(), rel=1e-5)
    entropy = losses.list_net(teacher, teacher, mask)
    difference = losses.list_net(scores, teacher, mask) - entropy
    assert losses.kl(scores, teacher, mask).item() == pytest.approx(difference.item(), rel=1e-5)


def test_partial_ranking_is_list_mle_of_the_hard_with_the_easy_as_tail(batch):
    scores, teacher, _ = batch
    row, order = scores[:1], torch.tensor([[9.0, 5, 4, 3, 2, 1]])
    hard = row[:, 1:].argsort(dim=1, descending=True)[:, :3] + 1
    easy = row[:, 1:].argsort(dim=1, descending=True)[:, 3:] + 1
    whole = torch.ones(1, 3, dtype=torch.bool)
    expected = losses.list_mle(
        row.gather(1, hard), order.gather(1, hard), whole, tail=row.gather(1, easy)
    )
    found = losses.partial_ranking(row, order, torch.ones(1, 6, dtype=torch.bool), top=3)
    assert found.item() == pytest.approx(expected.item() / 3, rel=1e-6)


def test_list_mle_is_a_distribution_over_orders():
    import itertools

    scores, mask = torch.tensor([[0.3, -1.0, 2.0, 0.1]]), torch.ones(1, 4, dtype=torch.bool)
    chances = [
        math.exp(-losses.list_mle(scores, torch.tensor([order]), mask).item())
        for order in itertools.permutations([0.0, 1.0, 2.0, 3.0])
    ]
    assert sum(chances) == pytest.approx(1.0, abs=1e-5)


def test_ranks_are_scipys():
    from scipy.stats import rankdata

    values = torch.tensor([[3.0, 1, 1, 5, 3, 3]])
    whole = torch.ones(1, 6, dtype=torch.bool)
    assert lists.ranks(values, whole)[0].tolist() == rankdata(-values[0].numpy()).tolist()
    part = torch.tensor([[True, True, True, False, True, False]])
    assert lists.ranks(values, part)[0][part[0]].tolist() == [1.5, 3.5, 3.5, 1.5]


# --- by name -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("infonce", "infonce"),
        ("info-nce", "infonce"),
        ("InfoNCE + .5 * margin-mse", "infonce+0.5*margin_mse"),
        ("kl(temperature = 2)+0.1*infonce(temperature=0.05)", None),
        ("kl(temperature=1.0)", "kl"),
        ("1e-3*min-max-kl", "0.001*min_max_kl"),
        ("1e+1*kl+kl", "10*kl+kl"),
        ("partial-ranking(within=4, top=3)", "partial_ranking(top=3,within=4)"),
    ],
)
def test_a_loss_has_one_canonical_name(text, canonical):
    loss = parse_loss(text)
    assert loss.name == str(loss) == (canonical or text.replace(" ", ""))
    assert parse_loss(loss.name).name == loss.name


def test_a_sum_is_the_weighted_sum(batch):
    scores, teacher, mask = batch
    found = parse_loss("kl(temperature=2)+0.1*infonce(temperature=0.05)")
    expected = losses.kl(scores, teacher, mask, 2.0) + 0.1 * losses.info_nce(
        scores, None, mask, 0.05
    )
    assert found(scores, teacher, mask).item() == pytest.approx(expected.item(), rel=1e-6)
    assert found.needs_teacher and not parse_loss("infonce+pointwise").needs_teacher
    assert hash(found) == hash(parse_loss(found.name))
    assert Loss((Term("kl", 2.0),)).name == "2*kl"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("infonc", "unknown loss 'infonc'. Did you mean 'infonce'? There are: pointwise, infonce,"),
        ("xyz", "unknown loss 'xyz'. There are: "),
        ("kl(temp=2)", "'kl' has no parameter 'temp=2'; it has: temperature"),
        ("ranknet(temperature=2)", "'ranknet' has no parameter 'temperature=2'; it has: none"),
        ("kl(2)", "no parameter '2'"),
        ("kl(temperature=0)", "'temperature' of the loss 'kl' is '0'; give a number above 0"),
        ("kl(temperature=nan)", "give a number above 0"),
        ("kl(temperature=inf)", "give a number above 0"),
        ("kl(temperature=1,temperature=2)", "given 'temperature' twice"),
        ("listmle(top=2.5)", "give a whole number of 0 or more"),
        ("0*kl", "the weight of 'kl' is 0"),
        ("1e999*kl", "the weight of 'kl' is inf"),
        ("", "cannot be read"),
        ("kl+", "cannot be read"),
        ("kl infonce", "cannot be read at 'kl infonce'"),
        ("-1*kl", "cannot be read at '-1*kl'"),
        ("contrastive", "only late interaction and dot products have; use infonce"),
    ],
)
def test_what_is_no_loss(text, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_loss(text)


def test_in_batch_terms_are_for_late_interaction():
    loss = parse_loss("0.5*contrastive+kl", in_batch=True)
    assert loss.name == "0.5*pairwise_softmax+0.5*in_batch_softmax+kl"
    with pytest.raises(ValueError, match="one by one"):
        loss(torch.zeros(1, 2), None, torch.ones(1, 2, dtype=torch.bool))


def test_the_command_line_lists_them(polyrank):
    result = polyrank("train", "losses")
    assert result.exit_code == 0
    listed = [re.split(r"[(\t]", line)[0] for line in result.stdout.splitlines()]
    assert listed == [*LOSSES, "contrastive", *language_objective.LOSSES, "align"]
    wrong = ["train", "ranking", "--queries", "a", "--passages", "b", "--output", "c", "--loss"]
    result = polyrank(*wrong, "infonc")
    assert result.exit_code == 2 and "Did you mean 'infonce'" in result.stderr
