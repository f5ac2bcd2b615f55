"""The examples in docstrings say what the code does."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "polyrank"
MODULES = sorted(
    ".".join(("polyrank", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("polyrank"):
            raise
        pytest.skip(f"needs {error.name}")
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def test_there_are_examples():
    assert len(MODULES) > 30
