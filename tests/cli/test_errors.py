"""What a user can mend: one message, exit code 2, no traceback."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).parent / "polyrank")


def run(*arguments, **options):
    return subprocess.run(
        [COMMAND, *(a if isinstance(a, bytes) else str(a) for a in arguments)],
        capture_output=True,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "absent.trec", "absent.qrels"], "absent.trec: file not found"),
        (["evaluate", "bad.trec", "good.qrels"], "bad.trec:2: 5 fields; a TREC run has 6"),
        (
            ["evaluate", "good.trec", "bad.qrels"],
            "bad.qrels:1: the relevance 'yes' is not an integer",
        ),
        (["evaluate", "good.trec"], "give the judgements"),
        (["evaluate", "good.trec", "good.qrels", "--measures", "nDGC"], "unknown measure 'nDGC'"),
        (["rerank", "--collection", "xquad"], "say what is reranked: --run FILE, or --first-stage"),
        (["rerank", "--run", "good.trec"], "give --collection NAME, or --queries FILE"),
        (["rerank", "--query", "x"], "--query and --passages go together"),
        (
            ["rerank", "--run", "good.trec", "--collection", "xqaud"],
            "no collection is named 'xqaud'",
        ),
        (["search", "--collection", "ntrex", "--query-language", "tlh"], "does not exist in tlh"),
        (["search", "--collection", "ntrex", "--query-language", "q!"], "unknown language 'q!'"),
        (["zoo", "info", "squad"], "neither a module's folder nor a full name"),
        (["detect", "--file", "absent.txt"], "absent.txt: file not found"),
        (["detect", b"caf\xe9"], "a text is not UTF-8"),
        (["rerank", "--query", " ", "--passages", "good.qrels"], "--query is empty"),
        (["search", "--query", b"caf\xe9", "--documents", "good.qrels"], "--query is not UTF-8"),
        (
            ["search", "--queries", "good.trec", "--documents", "x", "--output", "good.trec"],
            "good.trec is read, and would be overwritten",
        ),
        (
            ["search", "--collection", "ntrex", "--output", "good.trec/out.trec"],
            "out.trec cannot be written: ",
        ),
        (["search", "--collection", "ntrex", "--output", "."], "cannot be written: Is a directory"),
    ],
)
def test_the_message_and_the_exit_code(arguments, message, tmp_path):
    (tmp_path / "good.trec").write_text("q1 Q0 d1 1 0.5 x\n")
    (tmp_path / "bad.trec").write_text("q1 Q0 d1 1 0.5 x\nq1 Q0 d2 2 0.4\n")
    (tmp_path / "good.qrels").write_text("q1 0 d1 1\n")
    (tmp_path / "bad.qrels").write_text("q1 0 d1 yes\n")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("polyrank: ") and message in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_an_unknown_option_is_a_usage_error():
    done = run("rerank", "--colection", "xquad")
    assert done.returncode == 2 and "No such option" in done.stderr


def test_results_are_utf8_whatever_the_language_of_the_terminal():
    plain = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [COMMAND, "detect"], input="Суу\n".encode(), capture_output=True, env=plain
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().endswith("\tСуу\n")
    done = subprocess.run([COMMAND, "detect"], input=b"good\ncaf\xe9\n", capture_output=True)
    assert done.returncode == 2 and b"standard input:2: not UTF-8" in done.stderr


def test_a_reader_that_stops_early_is_no_error():
    search = "search --collection ntrex --query-language tr --document-language en"
    script = f"{COMMAND} {search} --first-stage bm25 --no-rerank --json | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 1
    choices, words = done.stderr.splitlines()  # no more than what it has to say anyway
    assert choices.startswith("polyrank: BM25(")
    assert words.startswith("polyrank: no document shares a word with")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_says_so_and_exits_with_130():
    for seconds in (1.5, 5, 20):  # until it waits for standard input, on a busy machine later
        code, errors = interrupted_after(seconds)
        if errors:
            break
    assert code == 130 and errors == "polyrank: stopped\n"


def interrupted_after(seconds):
    """Exit code and messages of `polyrank detect` that gets a Ctrl-C."""
    process = subprocess.Popen(
        [COMMAND, "detect"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # what a shell starts in the background is deaf to Ctrl-C, and so are its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_a_hub_that_is_not_reached_is_asked_once():
    closed = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    started = time.monotonic()
    done = run("rerank", "--query", "x", "--passages", __file__, "--model", "no/such",
               env={**os.environ, **closed})  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith(
        "polyrank: the model 'no/such' cannot be"
    )
    assert "Retrying" not in done.stderr and time.monotonic() - started < 25


def test_a_warning_of_ours_reads_like_our_messages(tmp_path, default_zoo):
    folder = tmp_path / "zoo" / "tiny" / "language" / "adapter" / "sw"
    folder.mkdir(parents=True)
    (folder / "polyrank.json").write_text("{}")
    both = os.pathsep.join([str(tmp_path / "zoo"), str(default_zoo)])
    done = run("zoo", "list", env={**os.environ, "POLYRANK_ZOO": both})
    assert done.returncode == 0 and "/ranking/adapter/squad\t" in done.stdout
    assert re.fullmatch(r"polyrank: skipped the module '.*\nFetch or train .*\n", done.stderr)
