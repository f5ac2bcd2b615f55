"""Help is there for every verb, and its examples run as they stand: on the bundled
texts, with a tiny base and modules in the place of those that are bundled."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RUNNABLE = ["rerank", "search", "evaluate", "detect", "demo", "experiment", "zoo list"]
RUNNABLE += ["compare", "alignment", "zoo info"]
RUNNABLE += ["explain", "zoo push", "zoo index"]
RUNNABLE += ["distill", "loyalty", "bench", "train language", "train ranking"]
RUNNABLE += ["train late-interaction", "train labels", "train losses", "compose"]
RUNNABLE += ["zoo import", "zoo export"]
RUNNABLE += ["view", "calibrate", "doctor"]
RUNNABLE += ["train head", "train grid", "translate"]
RUNNABLE += ["summaries candidates", "summaries rerank", "summaries evaluate"]
RUNNABLE += ["summaries train-plan", "summaries ranking-rows"]
RUNNABLE += ["corpus report", "corpus clean", "corpus mix"]
# Over a late-interaction module.
INDEX = ["index build", "index add", "index delete", "index compact", "index info"]
INDEX += ["index verify", "index fidelity", "index export"]
VERBS = [*RUNNABLE, *INDEX]
VERBS += ["zoo pull", "zoo remove"]  # which need a repository on the Hub
VERBS += ["serve", "mcp"]  # which do not end
VERBS += ["zoo verify"]  # whose bundled modules do not fit the tiny base


def examples(help_text: str) -> str:
    """The indented lines after 'Example:' or 'Examples ...:', up to the options."""
    block = re.search(r"\n  Examples?[^\n]*\n(.*?)\n\n", help_text, flags=re.DOTALL)
    return block.group(1) if block else ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example(verb, polyrank):
    result = polyrank(*verb.split(), "--help")
    assert result.exit_code == 0
    assert f"polyrank {verb}" in examples(result.stdout)


def test_the_verbs_are_listed(polyrank):
    listed = polyrank("--help").stdout
    assert all(f"  {verb.split()[0]} " in listed for verb in VERBS)


def test_version(polyrank):
    assert re.fullmatch(r"polyrank \d+\.\d+\.\d+\n", polyrank("--version").stdout)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [*RUNNABLE, *INDEX])
def test_the_examples_run_as_they_stand(verb, polyrank, default_zoo, warm_commands, tmp_path):
    script = "set -euo pipefail\n" + examples(polyrank(*verb.split(), "--help").stdout)
    path = os.pathsep.join(
        [str(warm_commands), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or list(tmp_path.iterdir())
