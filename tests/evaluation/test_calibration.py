"""Sigmoids that are fitted to scores whose probabilities are known."""

import math
import random

import pytest

from polyrank.collections.records import Judgement, ScoredDocument, as_run
from polyrank.errors import UsageError
from polyrank.evaluation import Pool
from polyrank.evaluation.calibration import Calibration, Candidate, Sigmoid, calibrate, fit

TRUE = {"tr": Sigmoid(2.0, 1.0), "zh": Sigmoid(0.5, -3.0)}


@pytest.fixture(scope="module")
def data():
    """A run and judgements drawn from TRUE, and the languages."""
    source = random.Random(5)
    hits, qrels, languages = [], [], {}
    for number in range(200):
        tag = ("tr", "zh")[number % 2]
        languages[f"q{number}"] = tag
        for place in range(30):
            score = source.gauss(TRUE[tag].offset, 3 * TRUE[tag].temperature)
            hits.append(ScoredDocument(f"q{number}", f"d{place}", score))
            relevant = source.random() < TRUE[tag](score)
            qrels.append(Judgement(f"q{number}", f"d{place}", int(relevant)))
    held = {f"d{place}": "en" for place in range(30)}
    return as_run(hits), qrels, Pool(languages, held, {})


@pytest.fixture(scope="module")
def found(data):
    return calibrate(*data, source="drawn")


@pytest.mark.parametrize("tag", TRUE)
def test_the_sigmoids_of_each_pair_are_found_again(found, tag):
    one = found.of(tag, "en")
    assert one.temperature == pytest.approx(TRUE[tag].temperature, rel=0.1)
    assert one.offset == pytest.approx(TRUE[tag].offset, abs=0.25 * TRUE[tag].temperature)
    assert found.of(tag, "sw") == found.whole


def test_probabilities_can_be_trusted_then(found):
    table = found.reliability
    assert table.count == 6000 and table.error < 0.02 < table.plain_error
    assert table.brier < table.plain_brier
    assert sum(one.count for one in table.bins) == 6000
    assert all(one.low <= one.predicted <= one.high for one in table.bins)


def test_against_logistic_regression_by_hand():
    """Two scores: the maximum of the likelihood gives each its smoothed share."""
    rows = [(0.0, 3, 17), (4.0, 15, 5)]  # score, relevant, others
    some = [
        Candidate(score, place < yes, "q", "")
        for score, yes, no in rows
        for place in range(yes + no)
    ]
    high, low = 19 / 20, 1 / 24  # (18 + 1) / (18 + 2), 1 / (22 + 2)
    one = fit(some)
    for score, yes, no in rows:
        assert one(score) == pytest.approx((yes * high + no * low) / (yes + no), abs=1e-4)


def test_the_file(found, tmp_path):
    found.write(tmp_path / "x.json")
    assert Calibration.read(tmp_path / "x.json") == found
    for text in ("{}", "[]", "no", '{"format_version": 9}'):
        (tmp_path / "y.json").write_text(text)
        with pytest.raises(UsageError, match="polyrank calibrate"):
            Calibration.read(tmp_path / "y.json")


def test_vectors_of_the_query_divide_scores(data):
    run, qrels, pool = data
    doubled = {
        query: [ScoredDocument(query, hit.document_id, 7 * hit.score) for hit in hits]
        for query, hits in run.items()
    }
    found = calibrate(doubled, qrels, pool, sizes=dict.fromkeys(run, 7))
    assert found.per_vector
    assert found.of("tr", "en").offset == pytest.approx(calibrate(*data).of("tr", "en").offset)


def test_scores_that_tell_nothing_are_refused(data):
    run, qrels, _ = data
    upside_down = {
        query: [ScoredDocument(query, hit.document_id, -hit.score) for hit in hits]
        for query, hits in run.items()
    }
    with pytest.raises(UsageError, match="do not rise"):
        calibrate(upside_down, qrels)
    with pytest.raises(UsageError, match="too few"):
        calibrate({"q0": run["q0"]}, qrels)


def test_judged_only(data):
    run, qrels, pool = data
    some = [one for one in qrels if one.relevance or one.document_id < "d2"]
    wide, narrow = calibrate(run, some, pool), calibrate(run, some, pool, judged_only=True)
    assert wide.reliability.count == 6000 > narrow.reliability.count
    assert wide.reliability.relevant == narrow.reliability.relevant


def test_a_sigmoid_of_any_size():
    one = Sigmoid()
    assert one(0) == 0.5 and one(1e9) == 1.0 and 0 <= one(-1e9) < 1e-300
    assert one(1.0) == pytest.approx(1 / (1 + math.exp(-1)))
