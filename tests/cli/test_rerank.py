"""polyrank rerank, with a tiny reranker."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from polyrank.collections.trec import read_run

COMMAND = str(Path(sys.executable).parent / "polyrank")


@pytest.fixture
def first(files, source, tiny, polyrank):
    """A first-stage run over the files."""
    polyrank("search", *source, *tiny, "--no-rerank", "--output", files / "first.trec")
    return files / "first.trec"


def test_a_run_in_a_run_out(first, source, tiny, polyrank, files):
    output = files / "out.trec"
    result = polyrank("rerank", *source, *tiny, "--run", first, "--output", output)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "" and "36 candidates of 6 queries" in result.stderr
    before, after = read_run(first), read_run(output)
    for query_id, hits in before.items():
        assert {h.document_id for h in hits} == {h.document_id for h in after[query_id]}
    assert before != after


def test_the_same_to_standard_output_and_twice(first, source, tiny, polyrank):
    arguments = ["rerank", *source, *tiny, "--run", first]
    assert polyrank(*arguments).stdout == polyrank(*arguments).stdout != ""


def test_the_first_stage_may_be_left_to_polyrank(first, source, tiny, polyrank):
    given = polyrank("rerank", *source, *tiny, "--run", first).stdout
    assert polyrank("rerank", *source, *tiny, "--first-stage", "dense").stdout == given


def test_search_and_rerank_mix_alike(first, source, tiny, polyrank, files):
    mixed = polyrank("rerank", *source, *tiny, "--run", first, "--interpolate", "0.5")
    assert mixed.exit_code == 0, mixed.stderr
    polyrank(
        "search", *source, *tiny, "--interpolate", "0.5", "--normalise", "min-max",
        "--output", files / "searched.trec",
    )  # fmt: skip
    (files / "mixed.trec").write_text(mixed.stdout)
    searched, reranked = read_run(files / "searched.trec"), read_run(files / "mixed.trec")
    assert searched.keys() == reranked.keys() and reranked != read_run(first)
    for query_id, hits in reranked.items():
        assert [h.document_id for h in searched[query_id]] == [h.document_id for h in hits]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--first-stage", "bm25", "--normalise", "z-score"], "goes with --interpolate"),
        (["--query", "x", "--passages", "p.txt", "--interpolate", "0.5"], "has not"),
        (["--first-stage", "bm25", "--retriever", "m"], "--retriever makes vectors"),
        (["--run", "r.trec", "--retriever", "m"], "in place of --run"),
        (
            ["--query", "x", "--passages", "p.txt", "--retriever", "m"],
            "--retriever would do nothing",
        ),
        (["--query", "x", "--passages", "p.txt", "--limit", "3", "--tag", "t"], "--limit, --tag"),
        (["--run", "r.trec", "--analysis", "words"], "--analysis would do nothing with --run"),
        (["--first-stage", "dense", "--analysis", "words"], "nothing with --first-stage dense"),
    ],
)
def test_options_that_do_not_go_together(arguments, message, polyrank):
    result = polyrank("rerank", *arguments)
    assert result.exit_code == 2 and message in result.stderr


def test_routing_changes_scores(first, source, tiny, polyrank):
    split, none = (
        polyrank("rerank", *source, *tiny, "--run", first, "--routing", routing).stdout
        for routing in ("split", "none")
    )
    assert split != none


def test_one_query_and_passages(tiny, polyrank, tmp_path):
    (tmp_path / "passages.txt").write_text("water boils\n\nthe river is long\n")
    arguments = [
        *("rerank", *tiny, "--query", "su kaynar", "--passages", tmp_path / "passages.txt"),
        *("--query-language", "tr", "--document-language", "en"),
    ]
    rows = [line.split("\t") for line in polyrank(*arguments).stdout.splitlines()]
    assert {(row[2], row[3]) for row in rows} == {("1", "water boils"), ("3", "the river is long")}
    assert float(rows[0][1]) >= float(rows[1][1])
    best = json.loads(polyrank(*arguments, "--json", "--depth", "1").stdout)
    assert best["rank"] == 1 and best["document_id"] == rows[0][2]


def test_a_language_without_a_module(first, source, tiny, polyrank, files):
    queries = files / "queries.jsonl"
    queries.write_text(queries.read_text().replace('"tr"', '"az"'))
    stopped = polyrank("rerank", *source, *tiny, "--run", first)
    assert stopped.exit_code == 2 and "there is no language adapter for 'az'" in stopped.stderr
    assert polyrank("rerank", *source, *tiny, "--run", first, "--fallback", "related").stdout


def test_killed_and_resumed_equals_uninterrupted(first, source, tiny, polyrank, files):
    output, whole = files / "out.trec", files / "whole.trec"
    arguments = ["rerank", *source, *tiny, "--run", first, "--output"]
    polyrank(*arguments, whole)
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments), str(output)], stderr=subprocess.DEVNULL, env=os.environ
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if output.exists() and output.stat().st_size:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    process.wait()
    if (files / "out.trec.resume.json").exists():  # else it was done before the signal came
        assert polyrank(*arguments, output, "--resume").exit_code == 0
    assert output.read_bytes() == whole.read_bytes()


def test_ctrl_c_says_how_to_go_on(first, source, tiny, polyrank, files, monkeypatch):
    from polyrank.rerankers.pairs import PairScorer

    output, whole = files / "out.trec", files / "whole.trec"
    arguments = ["rerank", *source, *tiny, "--run", first, "--output"]
    polyrank(*arguments, whole)

    calls, real = [], PairScorer.rank_request

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(PairScorer, "rank_request", interrupted)
        stopped = polyrank(*arguments, output)
    assert stopped.exit_code == 130
    assert "go on with the same command and --resume" in stopped.stderr
    refused = polyrank(*arguments, output, "--resume", "--routing", "none")
    assert refused.exit_code == 2 and "routing was 'split' and is now 'none'" in refused.stderr
    resumed = polyrank(*arguments, output, "--resume")
    assert resumed.exit_code == 0 and "2 queries were already there" in resumed.stderr
    assert output.read_bytes() == whole.read_bytes()


def test_a_searched_first_stage_is_that_of_then(source, tiny, polyrank, files, monkeypatch):
    """Under other thread numbers a dense score differs in its last bit; here in a third of it."""
    from polyrank.cli import first_stages

    from polyrank.rerankers.pairs import PairScorer

    output, whole = files / "out.trec", files / "whole.trec"
    arguments = ["rerank", *source, *tiny, "--first-stage", "dense", "--depth", "4"]
    arguments += ["--interpolate", "0.5", "--output"]
    assert polyrank(*arguments, whole).exit_code == 0
    calls, real, search = [], PairScorer.rank_request, first_stages.search_first

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    def otherwise(*args, **options):
        found = search(*args, **options)
        return {
            q: [replace(hit, score=hit.score * (1 + i / 3)) for i, hit in enumerate(hits)]
            for q, hits in found.items()
        }

    with monkeypatch.context() as patch:
        patch.setattr(PairScorer, "rank_request", interrupted)
        assert polyrank(*arguments, output).exit_code == 130
    monkeypatch.setattr(first_stages, "search_first", otherwise)
    restarted = polyrank(*arguments, output)  # refused, and what is kept is not overwritten
    assert restarted.exit_code == 2 and "Continue it with --resume" in restarted.stderr
    for changed in (("--first-stage", "bm25"), ("--depth", "3"), ("--limit", "2")):
        refused = polyrank(*arguments, output, "--resume", *changed)
        assert refused.exit_code == 2, changed
        assert f"{changed[0][2:]} was " in refused.stderr
    resumed = polyrank(*arguments, output, "--resume")
    assert resumed.exit_code == 0 and "nothing was searched" in resumed.stderr
    assert output.read_bytes() == whole.read_bytes()
    assert not list(files.glob("out.trec.*"))  # all that was kept is gone
    assert polyrank(*arguments, whole).exit_code == 0  # the search alone would have changed it
    assert output.read_bytes() != whole.read_bytes()


def test_a_kept_first_stage_is_exact_and_knows_queries_without_candidates(tmp_path):
    from polyrank.collections.records import ScoredDocument
    from polyrank.errors import UsageError
    from polyrank.runs.resume import first_stage_file, kept_first_stage, sidecar

    run = {"q": [ScoredDocument("q", "d é", 0.1 + 0.2), ScoredDocument("q", "e", 1e-300)], "r": []}
    output = tmp_path / "out.trec"
    with kept_first_stage(output, False, lambda: run) as (found, again):
        assert (found, again) == (run, False)
        for path in (output, sidecar(output)):
            path.write_text("")
    with kept_first_stage(output, True, lambda: {}) as (found, again):
        assert (found, again) == (run, True)
    first_stage_file(output).write_text('["q", 3]\n')
    with (
        pytest.raises(UsageError, match="Start anew after:  rm"),
        kept_first_stage(output, True, lambda: {}),
    ):
        pass


def test_another_split_of_equal_queries_is_refused(tiny, polyrank, tmp_path, monkeypatch):
    from polyrank.rerankers.pairs import PairScorer

    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d", "text": "ice"}\n')
    (folder / "queries.jsonl").write_text(
        "".join(f'{{"_id": "{name}", "text": "ice"}}\n' for name in ("q1", "q2"))
    )
    for split in ("dev", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text(
            "query-id\tcorpus-id\tscore\nq1\td\t1\nq2\td\t1\n"
        )
    command = ["rerank", "--collection", folder, *tiny, "--output", tmp_path / "out.trec"]
    command += ["--query-language", "ky", "--document-language", "en", "--first-stage", "bm25"]

    whole = PairScorer.rank_request

    def interrupted(reranker, request):
        if request.query.id == "q2":
            raise KeyboardInterrupt
        return whole(reranker, request)

    with monkeypatch.context() as patch:
        patch.setattr(PairScorer, "rank_request", interrupted)
        assert polyrank(*command, "--split", "dev").exit_code == 130
    for changed, message in (
        ((), "split was 'dev' and is now None"),
        (("--split", "dev", "--analysis", "words"), "analysis was 'stems' and is now 'words'"),
    ):
        refused = polyrank(*command, *changed, "--resume")
        assert refused.exit_code == 2 and message in refused.stderr
    assert polyrank(*command, "--split", "dev", "--resume").exit_code == 0
