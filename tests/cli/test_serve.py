"""polyrank serve, as a process: what is wrong is said at start, and the end is in order."""

import json
import math
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from polyrank.evaluation.calibration import Calibration, Reliability, Sigmoid

pytest.importorskip("fastapi", reason="needs polyrank[serve]")

WRONG = {
    "an unknown model": (["--model", "x=nowhere-to-be-found"], "--model x: "),
    "two of one name": (["--model", "a=e5-small", "--model", "a=e5-small"], "called 'a'"),
    "no json": (["--model", "a={base"], "not JSON"),
    "an unknown field": (["--model", 'a={"bse": "e5-small"}'], "no option 'bse'"),
    "an absent index": (["--index", "nowhere"], "nowhere"),
    "an unknown host": (["--host", "203.0.113.7"], "cannot listen"),
    "no keys": (["--keys", "/dev/null"], "no key"),
    "an unknown device": (["--device", "abacus"], "abacus"),
    "a port that is none": (["--port", "70000"], "65535"),
    "an unknown way": (["--long-documents", "burn"], "burn"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_end_with_2_and_a_message(polyrank, default_zoo, name):
    arguments, message = WRONG[name]
    result = polyrank("serve", "--port", "0", *arguments)
    assert result.exit_code == 2 and message in result.stderr


def test_a_port_in_use_is_told_before_anything_is_loaded(polyrank, default_zoo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = polyrank("serve", "--port", taken.getsockname()[1], "--model", "no-such-model")
    assert result.exit_code == 2 and "in use" in result.stderr


@pytest.fixture
def broken(tmp_path):
    """A folder with files that are neither a comparison nor a calibration."""
    (tmp_path / "old.json").write_text('{"format_version": 0}')
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "words.json").write_text("no JSON")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--comparison", "old.json"], "--comparison goes with --page"),
        (["--page", "--comparison", "old.json"], "not a comparison of this version"),
        (["--page", "--comparison", "list.json"], "polyrank view RUN RUN"),
        (["--page", "--comparison", "words.json"], "not a comparison"),
        (["--page", "--comparison", "absent.json"], "No such file"),
        (["--calibration", "old.json"], "polyrank calibrate"),
        (["--calibration", "words.json"], "polyrank calibrate"),
        (["--calibration", "absent.json"], "absent.json"),
        (["--calibration", "other=old.json"], "no model is called 'other'"),
    ],
)
def test_wrong_files_end_with_2_and_a_message(
    polyrank, default_zoo, broken, monkeypatch, options, message
):
    monkeypatch.chdir(broken)
    result = polyrank("serve", "--port", "0", *options)
    assert result.exit_code == 2 and message in result.stderr, result.stderr


@pytest.fixture
def comparison(tmp_path):
    """A file as 'polyrank view' writes it, without queries."""
    from polyrank.evaluation.looking import FORMAT_VERSION

    path = tmp_path / "comparison.json"
    content = {"format_version": FORMAT_VERSION, "runs": ["a run of its own", "b"], "queries": []}
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def calibration(tmp_path):
    """The same probability for every score."""
    path = tmp_path / "calibration.json"
    reliability = Reliability(60, 20, 0.1, 0.1, 0.2, 0.2, ())
    Calibration(Sigmoid(1e9, 1e9), {}, reliability).write(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_and_ends_in_order(default_zoo, ending, comparison, calibration):
    command = [sys.executable, "-c", "from polyrank.cli import main; main()"]
    options = ["serve", "--port", "0", "--log-requests", "--page", "--comparison", comparison,
               "--calibration", calibration]  # fmt: skip
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if found := re.search(r"serving e5-small at (http://127\.0\.0\.1:\d+)", line):
                break
        body = {"query": "secret", "documents": ["kalai", "water"], "query_language": "en"}
        request = urllib.request.Request(
            found[1] + "/v2/rerank",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            scores = [row["relevance_score"] for row in json.load(answer)["results"]]
        assert scores == [pytest.approx(1 / (1 + math.e))] * 2
        with urllib.request.urlopen(found[1] + "/", timeout=60) as page:
            assert "a run of its own" in page.read().decode()
        process.send_signal(ending)
        said = process.stderr.read()
        assert process.wait(60) == 0
    assert "POST /v2/rerank 200" in said and "secret" not in said
