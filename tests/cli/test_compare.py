"""polyrank compare."""

import json

import pytest


@pytest.fixture
def runs(tmp_path):
    good = "".join(f"q{i} Q0 d{i} 1 2 x\nq{i} Q0 e 2 1 x\n" for i in range(8))
    (tmp_path / "good.trec").write_text(good)
    (tmp_path / "poor.trec").write_text(good.replace(" 2 x", " 0 x"))
    (tmp_path / "part.trec").write_text(good.split("q6")[0])
    (tmp_path / "qrels").write_text("".join(f"q{i} 0 d{i} 1\n" for i in range(8)))
    return tmp_path


def test_figures(runs, polyrank):
    given = [runs / "poor.trec", runs / "good.trec", "--qrels", runs / "qrels"]
    result = polyrank("compare", *given, "--measures", "RR,P@1", "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["rows"]
    assert [row["difference"] for row in rows] == [0.5, 1.0]
    assert rows[0]["p_value"] == 2 / 2**8  # of all sign patterns, the two extreme ones
    assert rows[0]["p_corrected"] == 2 * 2 / 2**8
    other = polyrank("compare", *given, "--baseline", runs / "good.trec", "--measures", "RR")
    assert "-0.5000" in other.stdout and "against good" in other.stdout
    assert r"\begin{tabular}" in polyrank("compare", *given, "--latex").stdout


def test_what_is_refused(runs, polyrank):
    given = [runs / "good.trec", runs / "part.trec", "--qrels", runs / "qrels"]
    refused = polyrank("compare", *given)
    assert refused.exit_code == 2
    assert "part lacks 2 of 8 judged queries (q6, q7)" in refused.stderr
    assert polyrank("compare", *given, "--missing", "intersect").exit_code == 0
    alone = polyrank("compare", runs / "good.trec", "--qrels", runs / "qrels")
    assert alone.exit_code == 2 and "two or more runs" in alone.stderr
    twice = polyrank("compare", runs / "good.trec", runs / "good.trec", "--qrels", runs / "qrels")
    assert twice.exit_code == 2 and "given twice" in twice.stderr
    assert polyrank("compare", *given, "--test", "z").exit_code == 2
