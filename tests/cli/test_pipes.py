"""What comes through a pipe, as of <(zcat FILE), is read like a file."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture
def piped():
    """piped(content) -> the name of a pipe that holds it, as a shell makes one."""
    open_ones = []

    def pipe(content: bytes) -> str:
        read, write = os.pipe()
        assert len(content) < 65536  # what a pipe holds
        os.write(write, content)
        os.close(write)
        open_ones.append(read)
        return f"/dev/fd/{read}"

    yield pipe
    for one in open_ones:
        os.close(one)


def test_searches_and_rankings(files, piped, polyrank, tmp_path):
    queries = piped((files / "queries.jsonl").read_bytes())
    documents = piped(gzip.compress((files / "documents.tsv").read_bytes()))
    asked = ("--queries", queries, "--documents", documents, "--document-language", "en")
    run = tmp_path / "run.trec"
    found = polyrank("search", *asked, "--first-stage", "bm25", "--no-rerank", "--output", run)
    assert found.exit_code == 0, found.stderr
    whole = polyrank("evaluate", run, files / "qrels.txt", "--json")
    passed = polyrank(
        "evaluate", piped(run.read_bytes()), piped((files / "qrels.txt").read_bytes()), "--json"
    )
    assert passed.exit_code == 0 and json.loads(passed.stdout) == json.loads(whole.stdout)


def test_reranking_and_an_index(files, piped, polyrank, tiny, source, tmp_path):
    run = "".join(f"q0 Q0 d{i} {i + 1} {-i} x\n" for i in range(3)).encode()
    texts = piped((files / "documents.tsv").read_bytes())
    done = polyrank(
        *("rerank", "--queries", files / "queries.jsonl", "--documents", texts),
        *("--document-language", "en", "--run", piped(run), *tiny, "--output", tmp_path / "o.trec"),
    )
    assert done.exit_code == 0, done.stderr
    assert len((tmp_path / "o.trec").read_text().splitlines()) == 3


@pytest.mark.slow
def test_rows_of_a_training(files, piped, polyrank, tiny, tmp_path):
    rows = "".join(
        json.dumps({"_id": f"q{i}", "text": f"word {i}", "pos": [f"d{i}"], "neg": ["d5"]}) + "\n"
        for i in range(3)
    )
    done = polyrank(
        *("train", "ranking", "--queries", piped(rows.encode()), "--over", "", "--steps", "1"),
        *("--passages", piped((files / "documents.tsv").read_bytes()), "--mine", "0"),
        *("--length", "32", *tiny, "--output", tmp_path / "squad"),
    )
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "squad" / "polyrank.json").is_file()


def test_what_is_wrong_with_it_is_said_by_its_own_name(files, piped, polyrank):
    pipe = piped(b"q1 Q0 d1 1 x y\n")
    result = polyrank("evaluate", pipe, files / "qrels.txt")
    assert result.exit_code == 2 and f"{pipe}:1: the score 'x' is not a number" in result.stderr


LINES = [b"Water boils\tat 100 degrees\n", b"[1] The Nile is long\n", b"{curly} iron is old\n"]


def test_passages_are_lines_whatever_is_in_them(files, piped, polyrank, default_zoo):
    """A tab or a bracket does not make a table or JSON of a line: as of a file of that content."""
    asked = ("rerank", "--query", "water", "--query-language", "en", "--document-language", "en")
    for first in range(3):
        lines = b"".join(LINES[first:] + LINES[:first])
        (files / "passages.txt").write_bytes(lines)
        of_file = polyrank(*asked, "--passages", files / "passages.txt")
        of_pipe = polyrank(*asked, "--passages", piped(lines))
        assert of_pipe.exit_code == 0 and of_pipe.stdout == of_file.stdout
        assert len(of_pipe.stdout.splitlines()) == 3


def test_a_damaged_gzip_is_said_as_of_a_file(files, piped, polyrank):
    pipe = piped(gzip.compress(b"q1 Q0 d1 1 1.0 y\n" * 50)[:-20] + b"x" * 20)
    result = polyrank("evaluate", pipe, files / "qrels.txt")
    assert result.exit_code == 2 and f"{pipe}" in result.stderr and "gzip" in result.stderr


def test_a_terminated_verb_leaves_no_copy(files, tmp_path):
    """It waits for a pipe that stays open."""
    command = f"exec {sys.executable} -c 'from polyrank.cli import main; main()' evaluate "
    command += f"<(cat {files}/qrels.txt; sleep 60) {files}/qrels.txt"
    process = subprocess.Popen(["bash", "-c", command], env={**os.environ, "TMPDIR": str(tmp_path)})
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("polyrank-*/0/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(tmp_path.glob("polyrank-*/0/*"))
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("polyrank-*"))
