"""polyrank serve, as a process: what is wrong is said at start, and the end is in order."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

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


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_and_ends_in_order(default_zoo, ending):
    command = [sys.executable, "-c", "from polyrank.cli import main; main()"]
    options = ["serve", "--port", "0", "--log-requests"]
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
            assert len(json.load(answer)["results"]) == 2
        process.send_signal(ending)
        said = process.stderr.read()
        assert process.wait(60) == 0
    assert "POST /v2/rerank 200" in said and "secret" not in said
