"""polyrank summaries, from articles to a report, as a user would run it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def articles(tmp_path):
    path = tmp_path / "articles.jsonl"
    rows = [
        {"_id": "a", "text": "Red fish swim. Blue birds fly. Green frogs jump.",
         "reference": "Blue birds", "language": "en"},
        {"_id": "b", "text": "Ice melts. Water boils. Stones fall.", "reference": "Stones fall",
         "language": "en"},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def candidates(polyrank, articles, default_zoo, tmp_path):
    path = tmp_path / "candidates.jsonl"
    asked = ("--documents", articles, "--plans", "3", "--plan-units", "1", "--units", "sentence")
    result = polyrank("summaries", "candidates", *asked, "--output", path)
    assert result.exit_code == 0, result.stderr
    assert "6 candidates of 2 articles" in result.stderr
    return path


def test_candidates_are_reranked_and_measured(polyrank, candidates, tmp_path):
    result = polyrank("summaries", "evaluate", candidates, "--json")
    before = json.loads(result.stdout)
    assert before["articles"] == 2 and set(before["systems"]) == {"first", "oracle"}
    assert before["systems"]["oracle"]["one"] == pytest.approx((0.8 + 1) / 2)
    reranked = tmp_path / "reranked.jsonl"
    result = polyrank("summaries", "rerank", candidates, "--output", reranked)
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in reranked.read_text().splitlines()]
    assert [row["by"] for row in rows] == ["reranker", "reranker"]
    for row in rows:
        scores = [one["scores"]["reranker"] for one in row["candidates"]]
        assert scores == sorted(scores, reverse=True)
    shown = polyrank("summaries", "evaluate", reranked).stdout
    assert "reranked by reranker" in shown and "3.0 candidates each, diversity 1.0000" in shown
    back = polyrank("summaries", "rerank", reranked, "--by", "plan")
    numbers = [
        [one["number"] for one in json.loads(line)["candidates"]]
        for line in back.stdout.splitlines()
    ]
    assert numbers == [[0, 1, 2]] * 2


def test_summaries_that_a_model_writes(polyrank, articles, bart, default_zoo, tmp_path):
    path = tmp_path / "written.jsonl"
    asked = ("--documents", articles, "--plans", "2", "--plan-units", "1", "--units", "sentence")
    writing = ("--abstractor", bart, "--per-plan", "2", "--tokens", "6", "--output", path)
    result = polyrank("summaries", "candidates", *asked, *writing)
    assert result.exit_code == 0, result.stderr
    row = json.loads(path.read_text().splitlines()[0])
    assert all(set(one["scores"]) == {"plan", "abstractor"} for one in row["candidates"])
    likely = ("--by", "likelihood", "--seq2seq", bart, "--length-penalty", "2")
    result = polyrank("summaries", "rerank", path, *likely)
    scores = [
        one["scores"]["likelihood"]
        for one in json.loads(result.stdout.splitlines()[0])["candidates"]
    ]
    assert scores == sorted(scores, reverse=True) and result.exit_code == 0


def test_a_stopped_run_goes_on(polyrank, candidates, bart, tmp_path, monkeypatch):
    from polyrank.summaries.likelihood import Likelihood

    likely = ("summaries", "rerank", candidates, "--by", "likelihood", "--seq2seq", bart)
    whole, path, score = polyrank(*likely).stdout, tmp_path / "out.jsonl", Likelihood.__call__

    def stopping(self, article, summaries):
        if article.startswith("Ice"):
            raise KeyboardInterrupt
        return score(self, article, summaries)

    with monkeypatch.context() as patch:
        patch.setattr(Likelihood, "__call__", stopping)
        stopped = polyrank(*likely, "--output", path)
    assert stopped.exit_code == 130 and "same command and --resume" in stopped.stderr
    assert path.read_text() == whole.splitlines(keepends=True)[0]
    refused = polyrank(*likely, "--output", path, "--resume", "--length-penalty", "2")
    assert refused.exit_code == 2 and "length-penalty was 1.0 and is now 2.0" in refused.stderr
    resumed = polyrank(*likely, "--output", path, "--resume")
    assert resumed.exit_code == 0 and path.read_text() == whole
    assert "2 articles are in" in resumed.stderr and "1 of these articles" in resumed.stderr


def test_rows_for_a_ranking_module(polyrank, candidates):
    result = polyrank("summaries", "ranking-rows", candidates, "--question-units", "1")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[0]["pos"] == ["Blue birds fly."] and rows[0]["query"] == "Red fish swim."
    assert rows[1]["pos"] == ["Stones fall."] and len(rows[1]["neg_scores"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --documents or --collection"),
        (("--collection", "ntrex"), "--collection needs --language"),
        (("--documents", "absent.jsonl"), "absent.jsonl: file not found"),
        (("--documents", "absent.jsonl", "--beams", "2"), "--beams goes with --abstractor"),
        (("--documents", "absent.jsonl", "--temperature", "2"), "goes with --search sample"),
        (("--documents", "absent.jsonl", "--seed", "2"), "--seed goes with --search sample"),
        (("--search", "sample", "--temperature", "inf"), "--temperature is inf; give a finite"),
        (("--search", "sample", "--temperature", "nan"), "Invalid value for '--temperature'"),
        (("--abstractor", "m", "--length-penalty", "nan"), "Invalid value for '--length-penalty'"),
        (("--search", "sample", "--seed", "-1"), "Invalid value for '--seed'"),
        (("--output", "made.jsonl.gz"), "a compressed file cannot be resumed"),
        (("--resume",), "--resume needs an --output file"),
        (("--documents", "absent.jsonl", "--plan-model", "none"), "'none' is not a plan model"),
    ],
)
def test_what_candidates_refuses(polyrank, default_zoo, options, message):
    result = polyrank("summaries", "candidates", *options)
    assert result.exit_code == 2 and message in result.stderr, result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--by", "likelihood"), "--by likelihood needs --seq2seq"),
        (("--by", "plan", "--model", "m"), "--model would be ignored with --by plan"),
        (
            ("--by", "plan", "--device", "cpu", "--seed", "1"),
            "--seed, --device would be ignored with --by plan",
        ),
        (("--by", "likelihood", "--seq2seq", "m", "--seed", "1"), "--seed would be ignored"),
        (("--by", "likelihood", "--seq2seq", "m", "--length-penalty", "inf"), "is inf"),
        (("--seq2seq", "m"), "--seq2seq would be ignored with --by reranker"),
        (("--by", "abstractor"), "candidates.jsonl:1: candidates have no score 'abstractor'"),
    ],
)
def test_what_rerank_refuses(polyrank, candidates, options, message):
    result = polyrank("summaries", "rerank", candidates, *options)
    assert result.exit_code == 2 and message in result.stderr, result.stderr


def test_what_train_plan_refuses(polyrank, articles, tmp_path):
    asked = ("summaries", "train-plan", "--documents", articles, "--output", tmp_path / "plan")
    for option, value in (("--seed", "-1"), ("--seed", "9" * 30), ("--rate", "nan")):
        result = polyrank(*asked, option, value)
        assert result.exit_code == 2 and f"value for '{option}'" in result.stderr, result.stderr
    result = polyrank(*asked, "--rate", "inf")
    assert result.exit_code == 2 and "--rate is inf; give a finite number" in result.stderr


def test_lines_that_are_wrong(polyrank, articles, candidates):
    candidates.write_text(candidates.read_text() + "{}\n")
    for verb in ("evaluate", "rerank", "ranking-rows"):
        result = polyrank("summaries", verb, candidates)
        assert result.exit_code == 2, result.stderr
        assert f"{candidates}:3: not a row of candidates (no field 'text')" in result.stderr
    articles.write_text('{"_id": "a"}\n')
    for verb in ("candidates", "train-plan"):
        more = ("--output", articles.parent / "plan")
        result = polyrank("summaries", verb, "--documents", articles, *more)
        assert result.exit_code == 2 and f"{articles}:1: no field 'text'" in result.stderr


def test_without_the_library(polyrank, articles, monkeypatch):
    from polyrank import installed

    monkeypatch.setattr(installed, "is_installed", lambda module: module != "sentencex")
    result = polyrank("summaries", "candidates", "--documents", articles)
    assert result.exit_code == 2
    assert "needs sentencex" in result.stderr and "polyrank[summaries]" in result.stderr
