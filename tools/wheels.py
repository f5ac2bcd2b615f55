"""Build what is published: `polyrank`, the code, and `polyrank-data`, modules and collections.

    make wheels          or: python tools/wheels.py --output dist

An installation from this tree holds both. Apart, the code is one small wheel for each platform and
any Python from 3.10 on, and the data is one wheel for all. `polyrank-data` puts its packages into
`polyrank/`, where the code looks for them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ("adapters_zoo", "data")
CODE = ("polyrank", "cli", "pyproject.toml", "README.md", "LICENSE")
PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "polyrank-data"
version = "{version}"
description = "Language and ranking modules and test collections for polyrank."
requires-python = ">=3.10"
license = "Apache-2.0"

[tool.setuptools]
packages = ["polyrank.adapters_zoo", "polyrank.data"]
package-dir = {{ "polyrank.adapters_zoo" = "adapters_zoo", "polyrank.data" = "data" }}

[tool.setuptools.package-data]
"polyrank.adapters_zoo" = ["**/*"]
"polyrank.data" = ["**/*"]
"""


def code_of(pyproject: str) -> str:
    """The project file of the code alone, which asks for the data of its own version."""
    version = version_of(pyproject)
    kept = [
        line
        for line in pyproject.splitlines()
        if not re.match(r'\s*"polyrank\.(adapters_zoo|data)"(,| =)', line)
    ]
    text = "\n".join(kept) + "\n"
    text, places = re.subn(
        r"package-dir = \{.*\}", 'package-dir = { "polyrank.cli" = "cli" }', text
    )
    text, lists = re.subn(
        r"^dependencies = \[\n", f'dependencies = [\n    "polyrank-data=={version}",\n', text,
        flags=re.MULTILINE,
    )  # fmt: skip
    if (places, lists) != (1, 1):
        raise SystemExit("tools/wheels.py no longer knows pyproject.toml; bring it up to date")
    return text


def version_of(pyproject: str) -> str:
    """The version that the project file states."""
    found = re.search(r'^version = "(.+)"$', pyproject, flags=re.MULTILINE)
    assert found is not None
    return found[1]


def tracked(folders: tuple[str, ...], into: Path) -> None:
    """Copy what git tracks there, and nothing that lies about."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *folders], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def build(tree: Path, output: Path) -> None:
    """One wheel of a tree."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel"]
    subprocess.run([*command, "--no-deps", "--wheel-dir", str(output), str(tree)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("dist"), help="folder of the wheels")
    output = parser.parse_args().output.resolve()
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        code, data = Path(place) / "code", Path(place) / "data"
        tracked(CODE, code)
        (code / "pyproject.toml").write_text(code_of(pyproject), encoding="utf-8")
        tracked(DATA, data)
        (data / "pyproject.toml").write_text(
            PYPROJECT.format(version=version_of(pyproject)), encoding="utf-8"
        )
        for tree in (code, data):
            build(tree, output)
    for wheel in sorted(output.glob("polyrank*.whl")):
        print(f"{wheel.stat().st_size / 2**20:6.1f} MiB  {wheel}")


if __name__ == "__main__":
    main()
