"""Bradley–Terry: by hand, against a general optimiser, and where comparisons do not suffice."""

import math

import numpy as np
import pytest

from polyrank.errors import UsageError
from polyrank.training.examples.bradley_terry import bradley_terry


def test_two_items_by_hand():
    found = bradley_terry([[0, 3], [1, 0]], prior=0)  # strengths 3 : 1
    assert found.logits.tolist() == pytest.approx([math.log(3) / 2, -math.log(3) / 2])
    assert found.connected
    # with a prior: p·p' = 1 by symmetry, and (3 + a) = p (4 / (p + 1/p) + 2a / (p + 1)), a = 1
    p = math.exp(bradley_terry([[0, 3], [1, 0]], prior=1).logits[0])
    assert pytest.approx(p * (4 / (p + 1 / p) + 2 / (p + 1))) == 4


@pytest.mark.parametrize("prior", [0.0, 0.1, 1.0])
def test_against_a_general_optimiser(prior):
    from scipy.optimize import minimize

    wins = np.random.default_rng(0).integers(1, 9, (6, 6)).astype(float)
    np.fill_diagonal(wins, 0)

    def loss(theta):
        difference = theta[:, None] - theta[None, :]
        lost = np.logaddexp(0, theta) + np.logaddexp(0, -theta)  # a win and a loss against 1
        return (wins * np.logaddexp(0, -difference)).sum() + prior * lost.sum()

    best = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-8}).x
    assert bradley_terry(wins, prior).logits == pytest.approx(best - best.mean(), abs=1e-5)


def test_parts_that_were_never_compared():
    wins = np.zeros((5, 5))
    wins[0, 1], wins[1, 0], wins[2, 3] = 2, 1, 1
    found = bradley_terry(wins)
    assert found.parts.tolist() == [0, 0, 1, 1, 2] and not found.connected
    assert found.logits[:2].sum() == found.logits[2:4].sum() == pytest.approx(0)
    assert found.logits[4] == 0 and found.logits[2] > 0 and np.isfinite(found.logits).all()


def test_one_that_never_lost_needs_a_prior():
    wins = [[0, 1, 1], [0, 0, 1], [0, 1, 0]]
    with pytest.raises(UsageError, match="no bound; give a prior"):
        bradley_terry(wins, prior=0)
    strong, weak = bradley_terry(wins, prior=0.01), bradley_terry(wins, prior=1)
    assert strong.logits[0] > weak.logits[0] > 0
    assert weak.logits[1] == pytest.approx(weak.logits[2])


@pytest.mark.parametrize(
    ("wins", "options", "message"),
    [
        ([[0, 1]], {}, "square"),
        ([[0, -1], [1, 0]], {}, "0 or more"),
        ([[0, math.nan], [1, 0]], {}, "finite"),
        ([[1, 1], [1, 0]], {}, "against itself"),
        ([[0, 1], [1, 0]], {"prior": -1}, "the prior is -1"),
        ([[0, 9], [1, 0]], {"steps": 1}, "still moved"),
    ],
)
def test_what_does_not_fit(wins, options, message):
    with pytest.raises(UsageError, match=message):
        bradley_terry(wins, **options)
