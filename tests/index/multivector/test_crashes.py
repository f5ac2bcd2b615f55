"""kill -9 at every step of every change: the old state or the new one, and nothing between."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def crash(operation, folder, stride=1):
    """What was left after a kill at each step in turn; the last row is of the whole operation."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("crashing.py"), folder, operation, str(stride)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("operation", "before"),
    [
        ("replace", 1),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [("add", 1), ("delete", 1)]),
        pytest.param("compact", 2, marks=pytest.mark.slow),
    ],
)
def test_a_killed_change_leaves_the_old_state_or_the_new_one(operation, before, tmp_path):
    rows = crash(operation, tmp_path)
    assert len(rows) > 6 and [row["done"] for row in rows].count(True) == 1
    old, new = rows[0]["found"], rows[-1]["found"]
    assert (old == new) == (operation == "compact")
    expected = {before: old, before + 1: new}
    for row in rows:
        assert row["found"] == expected[row["generation"]] and not row["problems"]
        after = row["after"]  # what came next found no obstacle, and cleared up
        assert after["generation"] == row["generation"] + 1 and not after["problems"]
        assert after["leftovers"] == 0 and row["removed"] == row["leftovers"]
        assert after["found"] == [hit for hit in row["found"] if hit[0] != "d2"]
    assert {row["generation"] for row in rows} == set(expected)
    assert any(row["leftovers"] for row in rows) and rows[-1]["leftovers"] == 0


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(stride, tmp_path):
    rows = crash("build", tmp_path, stride)
    assert len(rows) > 40 // stride
    for row in rows:
        if "error" in row:
            assert "no index found" in row["error"] or "--resume" in row["error"]
        else:
            assert row["generation"] == 1 and not row["problems"]
        assert row["same_bytes"]
    assert any("is not finished" in row.get("error", "") for row in rows)
