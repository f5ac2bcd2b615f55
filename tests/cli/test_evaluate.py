"""polyrank evaluate."""

import json

import pytest


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "a.trec").write_text("q1 Q0 d1 1 2 x\nq1 Q0 d2 2 1 x\nq2 Q0 d2 1 2 x\n")
    (tmp_path / "b.trec").write_text("q1 Q0 d2 1 2 x\nq1 Q0 d1 2 1 x\nq2 Q0 d2 1 2 x\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    return tmp_path


def test_values_by_hand(runs, polyrank):
    result = polyrank("evaluate", runs / "b.trec", runs / "qrels", "--measures", "RR, P@1")
    assert result.exit_code == 0 and result.stderr == ""
    rows = dict(line.split() for line in result.stdout.splitlines()[1:3])
    assert rows == {"RR": "0.7500", "P@1": "0.5000"}  # (1/2 + 1) / 2 and (0 + 1) / 2


def test_json_with_a_baseline(runs, polyrank):
    result = polyrank(
        *("evaluate", runs / "a.trec", runs / "qrels", "--baseline", runs / "b.trec"),
        *("--measures", "RR", "--json"),
    )
    report = json.loads(result.stdout)
    assert report["mean"] == {"RR": 1.0}
    assert report["comparison"]["RR"]["difference"] == 0.25
    assert report["comparison"]["RR"]["better"] == 1
    assert 0 < report["comparison"]["RR"]["p_value"] <= 1


def test_the_judgements_of_a_collection(runs, polyrank, tmp_path):
    polyrank(
        *("search", "--collection", "xquad", "--query-language", "de"),
        *("--document-language", "de", "--limit", "30", "--first-stage", "bm25"),
        *("--no-rerank", "--output", tmp_path / "bm25.jsonl"),
    )
    result = polyrank(
        "evaluate", tmp_path / "bm25.jsonl", "--collection", "xquad", "--measures", "RR", "--json"
    )
    report = json.loads(result.stdout)
    assert len(report["missing"]) == 1190 - 30
    assert report["mean"]["RR"] * 1190 / 30 > 0.5  # German questions over German passages
