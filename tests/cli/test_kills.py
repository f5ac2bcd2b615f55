"""SIGKILL at random moments of every verb that writes over time: nothing lost, nothing wrong."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ..late_interaction.conftest import late_zoo  # noqa: F401
from ..zoo.conftest import Hub, make_module

KILLS = int(os.environ.get("POLYRANK_TEST_KILLS", "1000"))


@pytest.fixture
def hub(tmp_path):
    """A Hub on 127.0.0.1 with the module org/ky."""
    server = Hub()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    server.add("org/ky", make_module(tmp_path / "made"))
    yield server
    server.stop()


@pytest.fixture
def verbs(files, tiny, late_zoo, llama, polyrank):  # noqa: F811
    """verbs.json: of each verb its call, its output or what shows it, and what goes on with it."""
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
        name: {"call": list(map(str, words)), "output": output, "resume": more, "look": None}
        for name, (words, output, more) in made.items()
    }
    for name, (words, look, more) in _of_indexes(texts, files, tiny, polyrank).items():
        record[name] = {"call": words, "output": "index", "resume": more, "look": look}
    pulled = ["zoo", "pull", "org/ky"]
    record["zoo pull"] = {"call": pulled, "output": "cache/zoo", "resume": [], "look": None}
    (files / "verbs.json").write_text(json.dumps(record))
    return files


def _of_indexes(texts, files, tiny, polyrank):
    """The verbs that change an index, over one in `texts`; each is seen by a search or info."""
    built = ["--documents", texts / "documents.tsv", "--document-language", "en", *tiny]
    for name in ("index", "loose"):
        made = polyrank("index", "build", texts / name, *built, "--ranking", "li")
        assert made.exit_code == 0, made.stderr
    assert polyrank("index", "delete", texts / "loose", "d1").exit_code == 0
    (texts / "more.tsv").write_text("".join(f"m{i}\tiron birds {i}\n" for i in range(8)))
    asked = ["--queries", "queries.jsonl", "--no-rerank", "--json", "--top", "20"]
    add = ["index", "add", "index", "--documents", "more.tsv", "--document-language", "ky"]
    build = ["index", "build", "new", "--documents", "documents.tsv", "--document-language", "en"]
    return {
        "index build": (
            [*build, *tiny, "--ranking", "li"], ["search", "--index", "new", *asked], ["--resume"],
        ),
        "index add": (add, ["search", "--index", "index", *asked], []),
        "index delete": (
            ["index", "delete", "index", "d0", "d3"], ["search", "--index", "index", *asked], [],
        ),
        "index compact": (["index", "compact", "loose"], ["index", "info", "loose", "--json"], []),
    }  # fmt: skip


@pytest.mark.slow
def test_kills(verbs, hub):
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, script, verbs, str(KILLS), "7"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    wrong = json.loads(done.stdout)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["train language", "train head", "train ranking", "distill"])
def test_a_training_stopped_before_its_last_step(verbs, polyrank, monkeypatch, name):
    """Its result is written, its work folder is there: --resume removes what is left."""
    verb = json.loads((verbs / "verbs.json").read_text())[name]
    monkeypatch.chdir(verbs / "texts")
    output, work = Path(verb["output"]), Path(f"{verb['output']}.work")

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("polyrank.training.loop.run.clear", killed)
        assert polyrank(*verb["call"]).exit_code != 0
    made = {path: path.read_bytes() for path in output.iterdir()}
    assert (work / "settings.json").is_file()
    refused = polyrank(*verb["call"])
    assert refused.exit_code == 2 and f"{output} exists already" in refused.stderr
    done = polyrank(*verb["call"], *verb["resume"])
    assert done.exit_code == 0 and f"{output} was finished; removed {work}" in done.stderr
    assert not work.exists() and made == {path: path.read_bytes() for path in output.iterdir()}
    assert "exists already" in polyrank(*verb["call"], *verb["resume"]).stderr


def test_a_folder_that_is_cleared_keeps_its_settings_to_the_end(tmp_path, monkeypatch):
    from polyrank.training.loop import run

    work = tmp_path / "x.work"
    (work / "checkpoints" / "4").mkdir(parents=True)
    for name in ("settings.json", "a.jsonl"):
        (work / name).write_text("{}")

    def killed(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(run.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        run.clear(work)
    assert run.is_left(work)
    monkeypatch.undo()
    run.clear(work)
    assert not work.exists() and not run.is_left(work)
