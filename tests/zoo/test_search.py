"""The zoo: modules by name, by folder, in the order of the search path."""

import os
import shutil
import warnings

import pytest

from polyrank import zoo
from polyrank.base import DEFAULT_BASE
from polyrank.errors import ModuleError, UsageError
from polyrank.zoo.cache import cache_folder


@pytest.fixture
def searched(tiny_zoo, monkeypatch):
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    return tiny_zoo


def test_listing(searched, tiny_base):
    base = tiny_base.name
    names = [entry.card.name for entry in zoo.list_modules(base=base, role="language")]
    assert names == ["de", "en", "fi", "ky", "tr", "zh"]
    (entry,) = zoo.list_modules(base=base, language="ky")
    assert entry.name == f"{base}/language/adapter/ky" == entry.card.full_name
    assert zoo.list_modules(base=base, kind="mask") == []
    assert [e.card.name for e in zoo.list_modules(base, "ranking")] == ["bare", "squad"]


def test_a_module_is_found_by_short_name_full_name_and_folder(searched, tiny_base):
    base = tiny_base.name
    folder = searched / base / "language" / "adapter" / "ky"
    for name in ("ky", f"{base}/language/adapter/ky", str(folder)):
        assert zoo.find(base, "language", "adapter", name) == folder
    assert zoo.info(f"{base}/language/adapter/ky").card.language == "ky"
    assert zoo.info(str(folder)).name == f"{base}/language/adapter/ky"


def test_a_plain_word_means_the_zoo_before_a_folder_here(
    searched, tiny_base, tmp_path, monkeypatch
):
    folder = searched / tiny_base.name / "language" / "adapter" / "ky"
    for name in ("ky", "mine"):
        shutil.copytree(folder, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert zoo.find(tiny_base.name, "language", "adapter", "ky") == folder
    assert str(zoo.find(tiny_base.name, "language", "adapter", "mine")) == "mine"
    assert zoo.find(tiny_base.name, "language", "adapter", "./ky").resolve() == tmp_path / "ky"


def test_a_missing_module_lists_the_others_and_the_command(searched, tiny_base):
    with pytest.raises(ModuleError) as error:
        zoo.find(tiny_base.name, "language", "adapter", "ug")
    assert "Available: de, en, fi, ky, tr, zh." in str(error.value)
    assert f"polyrank train language --base {tiny_base.name} --language ug" in str(error.value)
    with pytest.raises(UsageError, match=f"{DEFAULT_BASE}/language/adapter/ky"):
        zoo.info("ky")


def test_the_first_folder_of_the_path_wins(searched, tiny_base, tmp_path, monkeypatch):
    place = f"{tiny_base.name}/language/adapter/ky"
    shutil.copytree(searched / place, tmp_path / place)
    monkeypatch.setenv("POLYRANK_ZOO", f"{tmp_path}{os.pathsep}{searched}")
    assert zoo.find(tiny_base.name, "language", "adapter", "ky") == tmp_path / place
    assert zoo.find(tiny_base.name, "language", "adapter", "ky", zoo=searched).is_relative_to(
        searched
    )
    assert len(zoo.list_modules(base=tiny_base.name, language="ky")) == 1


def test_one_broken_module_does_not_hide_the_others(searched, tiny_base, tmp_path):
    place = tmp_path / tiny_base.name / "language" / "adapter" / "aa"
    place.mkdir(parents=True)
    (place / "polyrank.json").write_text("{")
    with pytest.warns(UserWarning, match="skipped the module"):
        names = [e.card.name for e in zoo.list_modules(base=tiny_base.name, zoo=tmp_path)]
    assert "aa" not in names and "ky" in names


def test_without_a_home_directory_all_else_is_found(searched, tiny_base, monkeypatch):
    for variable in ("POLYRANK_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where the user has no entry
    assert len(zoo.list_modules(base=tiny_base.name)) == 8
    assert zoo.cached_entries() == []
    with pytest.raises(UsageError, match="no home directory(.|\n)*POLYRANK_CACHE"):
        cache_folder()
    with pytest.raises(UsageError, match="neither a module's folder"):
        zoo.info("~nobody/module")


def test_a_clean_listing_warns_of_nothing(searched):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert zoo.list_modules()
