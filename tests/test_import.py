"""The package is light to import, and its public names are where the table says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import polyrank

HEAVY = {"torch", "transformers", "adapters", "numpy", "datasets", "rich.console"}


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running the code."""
    script = f"{code}\nimport json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_takes_no_heavy_module():
    assert not HEAVY & modules_after("import polyrank")


def test_import_is_fast():
    code = "import time; s = time.perf_counter(); import polyrank; print(time.perf_counter() - s)"
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
        for _ in range(3)  # the fastest of three: a busy machine is not the package's fault
    )
    assert seconds < 0.3


def test_the_records_need_no_torch():
    assert "torch" not in modules_after("from polyrank import Query, Document, read_run, write_run")


def test_help_takes_no_heavy_module():
    code = (
        "import sys; sys.argv = ['polyrank', '--help']\n"
        "from polyrank.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
    )
    assert not (HEAVY - {"rich.console"}) & modules_after(code)  # Typer prints its help with rich


def test_every_public_name_is_listed_once():
    assert sorted(polyrank._HOMES) == sorted(set(polyrank.__all__) - {"__version__"})


@pytest.mark.parametrize("name", polyrank.__all__)
def test_every_public_name_resolves(name):
    assert getattr(polyrank, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'rerank_everything'"):
        polyrank.rerank_everything  # noqa: B018


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")
def test_every_package_is_installed_by_a_wheel_too():
    import tomllib

    root = Path(polyrank.__file__).parent.parent
    setuptools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    places = {"polyrank": "polyrank", **setuptools["package-dir"]}
    found = {
        ".".join((package, *path.parent.relative_to(root / place).parts))
        for package, place in places.items()
        for path in (root / place).rglob("__init__.py")
    }
    assert found == set(setuptools["packages"])
