"""SIGKILL at random moments of every verb that writes over time: nothing lost, nothing wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = int(os.environ.get("POLYRANK_TEST_KILLS", "1000"))


@pytest.fixture
def verbs(files, tiny, tiny_zoo, llama):
    """verbs.json: of each verb its call, its output, and what goes on with it."""
    texts = files / "texts"
    texts.mkdir()
    for name in ("queries.jsonl", "documents.tsv"):
        (files / name).rename(texts / name)
    pairs = [f"ky\tsuu jana tash {i}\twater and stone {i}\n" for i in range(40)]
    (texts / "pairs.tsv").write_text("".join(pairs))
    rows = (texts / "rows.jsonl").open("w")
    for i in range(6):
        row = {"_id": f"q{i}", "text": f"word {i}", "pos": [f"d{i}"], "neg": [f"d{(i + 1) % 6}"]}
        rows.write(json.dumps(row) + "\n")
    rows.close()
    (texts / "lines.txt").write_text("".join(f"water and stone {i}\n" for i in range(40)))
    wins = [{"query": f"q{i}", "winner": f"d{i}", "loser": f"d{(i + 1) % 6}"} for i in range(6)]
    (texts / "wins.jsonl").write_text("".join(json.dumps(row) + "\n" for row in wins))
    judged = ["--queries", "rows.jsonl", "--passages", "documents.tsv"]
    source = ["--queries", "queries.jsonl", "--documents", "documents.tsv"]
    source += ["--document-language", "en", *tiny, "--device", "cpu"]
    bm25 = ["--first-stage", "bm25", "--analysis", "words", "--depth", "4"]
    steps = ["--steps", "4", "--length", "48", *tiny]
    made = {
        "rerank": (["rerank", *source, *bm25, "--output", "out.trec"], "out.trec", ["--resume"]),
        "search": (["search", *source, *bm25, "--output", "out.trec"], "out.trec", []),
        "train language": (
            ["train", "language", "--parallel", "pairs.tsv", "--language", "ky", *steps,
             "--output", "ky"], "ky", ["--resume"],
        ),
        "train ranking": (
            ["train", "ranking", "--queries", "rows.jsonl", "--passages", "documents.tsv",
             "--over", "en", *steps, "--output", "squad"], "squad", ["--resume"],
        ),
        "train late-interaction": (
            ["train", "late-interaction", *judged, "--over", "en", "--mine", "0", "--dim", "8",
             "--train-length", "48", "--steps", "4", *tiny, "--output", "li"], "li", ["--resume"],
        ),
        "train head": (
            ["train", "head", "--text", "lines.txt", "--batch-size", "4", "--length", "24",
             "--steps", "4", *tiny, "--output", "head"], "head", ["--resume"],
        ),
        "train llm": (
            ["train", "llm", "--model", llama, *judged, "--objective", "label", "--steps", "3",
             "--batch-queries", "2", "--negatives", "1", "--output", "llm"], "llm", ["--resume"],
        ),
        "train labels": (
            ["train", "labels", "wins.jsonl", "--queries", "queries.jsonl",
             "--output", "labels.jsonl"], "labels.jsonl", [],
        ),
        "distill": (
            ["distill", "--source", "en", "--target", "ky", "--source-text", "lines.txt",
             "--target-text", "lines.txt", *judged, "--mine", "0", "--general-steps", "2",
             "--batch-size", "2", "--length", "16", "--steps", "2", *tiny,
             "--pair-length", "48", "--factor", "3",
             "--output", "student"], "student", ["--resume"],
        ),
    }  # fmt: skip
    record = {
        name: {"call": list(map(str, words)), "output": output, "resume": more}
        for name, (words, output, more) in made.items()
    }
    (files / "verbs.json").write_text(json.dumps(record))
    return files


@pytest.mark.slow
def test_kills(verbs):
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, script, verbs, str(KILLS), "7"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == []
