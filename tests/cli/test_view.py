"""polyrank view and calibrate: files of runs."""

import json
import random

import pytest

from polyrank.evaluation.calibration import Calibration


@pytest.fixture
def runs(files):
    """Two runs over the files: one puts the relevant document first, the other last."""
    names = []
    for name, sign in (("good", 1), ("bad", -1)):
        lines = [
            f"q{q} Q0 d{d} 1 {sign * (10 if d == q else -d)} {name}"
            for q in range(6)
            for d in range(6)
        ]
        (files / f"{name}.trec").write_text("\n".join(lines) + "\n")
        names.append(files / f"{name}.trec")
    return names


@pytest.fixture
def truth(files):
    return ["--qrels", files / "qrels.txt", "--queries", files / "queries.jsonl",
            "--documents", files / "documents.tsv", "--document-language", "en"]  # fmt: skip


def test_a_comparison_as_json(polyrank, runs, truth, files):
    output = files / "diff.json"
    result = polyrank("view", *runs, *truth, "--measures", "RR", "--output", output)
    assert result.exit_code == 0, result.stderr
    found = json.loads(output.read_text())
    assert found["runs"] == ["good", "bad"] and len(found["queries"]) == 6
    assert {tuple(query["values"]["RR"]) for query in found["queries"]} == {(1.0, 1 / 6)}
    assert found["documents"]["d1"]["text"] == "a long river and water boils"
    assert not list(files.glob(".*"))


def test_a_page_that_explains(polyrank, runs, truth, files, default_zoo):
    output = files / "diff.html"
    some = ["--limit", 2, "--explain", 1]
    result = polyrank("view", *runs, *truth, *some, "--output", output)
    assert result.exit_code == 0, result.stderr
    page = output.read_text()
    assert page.startswith("<!doctype html>") and '"explanations"' in page
    assert '"similarity"' in page and '"routing":"split"' in page
    assert "2 of 6 queries are in the file" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "x.pdf"], "ends neither in .html"),
        (["--output", "x.html", "--model", "e5-small"], "goes with --explain"),
    ],
)
def test_wrong_options(polyrank, runs, truth, options, message):
    result = polyrank("view", *runs, *truth, *options)
    assert result.exit_code == 2 and message in result.stderr


def test_a_run_beside_itself_is_refused(polyrank, runs, truth, files):
    result = polyrank("view", runs[0], runs[0], *truth, "--output", files / "x.html")
    assert result.exit_code == 2 and "two different ones" in result.stderr


def test_calibrate(polyrank, files):
    source = random.Random(3)
    lines, judged = [], []
    for query in range(6):
        for place in range(40):
            score = source.gauss(0, 2)
            lines.append(f"q{query} Q0 x{place} 1 {score} r")
            judged.append(f"q{query} 0 x{place} {int(score + source.gauss(0, 1) > 1)}")
    (files / "r.trec").write_text("\n".join(lines) + "\n")
    (files / "r.qrels").write_text("\n".join(judged) + "\n")
    output = files / "r.calibration.json"
    asked = ["--qrels", files / "r.qrels", "--query-language", "tr", "--document-language", "en"]
    result = polyrank("calibrate", files / "r.trec", *asked, "--output", output)
    assert result.exit_code == 0, result.stderr
    found = Calibration.read(output)
    assert list(found.pairs) == ["tr→en"] and 0.5 < found.whole.offset < 1.5
    assert "tr→en\ttemperature" in result.stdout and "calibration error" in result.stdout


def test_calibrate_wants_judgements_of_the_run(polyrank, runs, files):
    result = polyrank("calibrate", runs[0], "--qrels", files / "qrels.txt", "--output", files / "c")
    assert result.exit_code == 2 and "too few to calibrate" in result.stderr
