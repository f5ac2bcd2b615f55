"""Calibrated scores, `min_score`, and raw scores beside them."""

import pytest

from polyrank.errors import UsageError
from polyrank.evaluation.calibration import Calibration, Reliability, Sigmoid
from polyrank.server.models import calibration_beside
from polyrank.server.run import loaded

from .conftest import Toy

PAIRS = {"en→tr": Sigmoid(2.0, 0.5), "en→zh": Sigmoid(0.1, -1.0)}
CALIBRATION = Calibration(Sigmoid(3.0), PAIRS, Reliability(60, 20, 0.1, 0.1, 0.2, 0.2, ()))
TEXTS = ["abc cab", "xyz", "a b"]
BODY = {"query": "abc", "documents": TEXTS, "query_language": "en"}


@pytest.fixture(scope="module")
def running(start):
    return start({"toy": Toy()}, calibrations={"toy": CALIBRATION})


def rows(answer):
    return {row["index"]: row["relevance_score"] for row in answer.json["results"]}


@pytest.mark.parametrize(("language", "sigmoid"), [("tr", PAIRS["en→tr"]), ("de", Sigmoid(3.0))])
def test_the_sigmoid_of_the_pair(running, post, language, sigmoid):
    found = rows(post(running.url + "/rerank", {**BODY, "document_language": language}))
    expected = {i: sigmoid(Toy.one("abc", text)) for i, text in enumerate(TEXTS)}
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_order_is_that_of_probabilities_and_raw_scores_keep_theirs(running, post):
    mixed = {**BODY, "document_language": ["tr", "zh", "tr"]}
    answer = post(running.url + "/rerank", mixed).json["results"]
    assert [row["index"] for row in answer] == [1, 0, 2]  # 'xyz' has the lowest score, but in zh
    raw = post(running.url + "/rerank", {**mixed, "raw_scores": True}).json["results"]
    assert [row["index"] for row in raw] == [0, 2, 1]
    assert raw[0]["relevance_score"] == pytest.approx(Toy.one("abc", TEXTS[0]))


def test_min_score_leaves_rows_out(running, post):
    body = {**BODY, "document_language": "tr"}
    scores = sorted(rows(post(running.url + "/rerank", body)).values())
    kept = rows(post(running.url + "/rerank", {**body, "min_score": scores[1]}))
    assert sorted(kept.values()) == scores[1:]
    assert rows(post(running.url + "/rerank", {**body, "min_score": 1.5})) == {}
    assert post(running.url + "/rerank", {**body, "min_score": "many"}).status == 422


def test_score_and_info_tell_it(running, post, get):
    body = {"text_1": "abc", "text_2": TEXTS, "query_language": "en", "document_language": "tr"}
    data = post(running.url + "/score", body).json["data"]
    expected = [PAIRS["en→tr"](Toy.one("abc", text)) for text in TEXTS]
    assert [row["score"] for row in data] == pytest.approx(expected, rel=1e-6)
    assert get(running.url + "/info").json["models"][0]["calibrated"] == sorted(PAIRS)


def test_the_file_beside_a_composition_or_in_a_folder(tmp_path):
    CALIBRATION.write(tmp_path / "tr-en.calibration.json")
    CALIBRATION.write(tmp_path / "calibration.json")
    assert calibration_beside(str(tmp_path / "tr-en.json")) == tmp_path / "tr-en.calibration.json"
    assert calibration_beside(str(tmp_path)) == tmp_path / "calibration.json"
    assert calibration_beside("e5-small") is calibration_beside({"base": "e5-small"}) is None


def test_a_calibration_of_no_model_is_refused():
    with pytest.raises(UsageError, match="no model is called 'other'"):
        loaded(None, {"toy": "x"}, {}, {"other": "file"})
