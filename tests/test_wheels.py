"""What is published: two wheels that together are what this tree is."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """(the code's wheel, the data's wheel)"""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, str(ROOT / "tools" / "wheels.py"), "--output", str(folder)]
    subprocess.run(build, check=True)
    (code,), (data,) = folder.glob("polyrank-*.whl"), folder.glob("polyrank_data-*.whl")
    return code, data


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {one for one in archive.namelist() if ".dist-info/" not in one}


def test_code_is_small_and_for_every_python(wheels):
    code, data = wheels
    assert code.stat().st_size < 2 * 2**20
    assert re.search(r"-cp310-abi3-\w+\.whl$|-py3-none-any\.whl$", code.name)
    assert data.name.endswith("-py3-none-any.whl")


def test_each_file_is_in_one_of_them(wheels):
    code, data = map(names, wheels)
    assert not code & data
    listed = subprocess.run(
        ["git", "ls-files", "polyrank", "cli", "adapters_zoo", "data"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    expected = {one if one.startswith("polyrank/") else f"polyrank/{one}" for one in listed}
    there = {one for one in code | data if not one.endswith(".so")}
    assert expected == there


def test_installed_into_an_empty_environment_they_rank(wheels, tmp_path):
    """Their requirements come from this environment; polyrank itself does not."""
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = next(place.glob("lib/python*/site-packages"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    (packages / "borrowed.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n"
    )
    environment = {**os.environ, "PYTHONPATH": "", "POLYRANK_CACHE": str(tmp_path / "cache")}
    python = str(place / "bin" / "python")
    where = [python, "-c", "import polyrank; print(polyrank.__file__)"]
    found = subprocess.run(
        where, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert Path(found.stdout.strip()).is_relative_to(place)
    demo = [python, "-c", "from polyrank.cli import main; main()", "demo"]
    done = subprocess.run(demo, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "composition" in done.stdout
