"""What is at hand: verified, removed, and described by an index that must not be stale."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from polyrank import zoo
from polyrank.errors import ModuleError, UsageError


def test_verify_tells_the_broken_from_the_sound(module, tmp_path, monkeypatch):
    sound, broken = module("ky"), module("tr")
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "made"))
    weights = broken / "adapter.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    verdicts = {one.path: one for one in zoo.verify()}
    assert verdicts[sound].problem is None
    assert "was altered" in verdicts[broken].problem
    (one,) = zoo.verify("tiny/language/adapter/tr")
    assert one == verdicts[broken]
    assert zoo.verify(str(sound))[0].problem is None


def test_verify_sees_a_module_in_the_wrong_place_or_for_another_base(
    module, knows, tmp_path, monkeypatch
):
    folder = module("ky")
    folder.rename(folder.with_name("kyrgyz"))
    of_known = module("fi", base="known")
    monkeypatch.setenv("POLYRANK_ZOO", f"{tmp_path / 'made'}{os.pathsep}{knows('known', '0000')}")
    verdicts = {one.path: one.problem for one in zoo.verify()}
    assert "its card calls it 'tiny/language/adapter/ky'" in verdicts[folder.with_name("kyrgyz")]
    assert "the base here is another" in verdicts[of_known]


def test_verify_covers_what_was_pulled(hub, module):
    hub.add("org/tiny-ky", module())
    entry = zoo.pull("org/tiny-ky")
    assert {one.path: one.problem for one in zoo.verify()}[entry.path] is None
    (entry.path / "adapter_config.json").write_text("{}")
    (one,) = zoo.verify("org/tiny-ky")
    assert "was altered" in one.problem


def test_remove_takes_what_was_pulled_and_nothing_else(hub, module, cache, files_left):
    hub.add("org/tiny-ky", module(seed=1))
    hub.repository("org/tiny-ky").refs["v1"] = hub.repository("org/tiny-ky").refs["main"]
    first = zoo.pull("org/tiny-ky@v1")
    hub.add("org/tiny-ky", module(seed=2))
    second = zoo.pull("org/tiny-ky")
    ((removed, held),) = zoo.remove("org/tiny-ky@v1")
    assert removed.folder == first.path and not first.path.exists() and second.path.exists()
    assert held > 12_000  # 3000 fp32 weights
    assert [one.folder for one, _ in zoo.remove("tiny/language/adapter/ky")] == [second.path]
    assert files_left(cache) == [] and not list(cache.iterdir())
    with pytest.raises(ModuleError, match="nothing to remove(.|\n)*Pulled: none"):
        zoo.remove("org/tiny-ky")


def test_remove_leaves_what_is_bundled_or_a_folder(module, as_bundled, tmp_path, monkeypatch):
    module("tr")
    as_bundled((tmp_path / "made").rename(tmp_path / "bundled"))
    folder = module()
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "made"))
    with pytest.raises(ModuleError, match="is folder in (.|\n)*left alone"):
        zoo.remove("tiny/language/adapter/ky")
    with pytest.raises(ModuleError, match="is bundled in (.|\n)*left alone"):
        zoo.remove("tiny/language/adapter/tr")
    for name in (str(folder), "ky"):
        with pytest.raises(UsageError, match="nothing was removed"):
            zoo.remove(name)
    assert folder.is_dir()


def test_remove_asks_which_when_two_places_have_the_name(hub, module):
    for owner in ("one", "two"):
        hub.add(f"{owner}/ky", module())
        zoo.pull(f"{owner}/ky")
    with pytest.raises(UsageError, match="from one/ky and two/ky"):
        zoo.remove("tiny/language/adapter/ky")


def test_the_index_is_written_from_the_cards(module, tmp_path):
    root = tmp_path / "made"
    folder = module(figures={"perplexity after": 3.5})
    (folder / "README.md").unlink()
    assert zoo.stale(root) == [folder / "README.md", root / "index.json"]
    assert zoo.write_index(root) == [folder / "README.md", root / "index.json"]
    assert zoo.stale(root) == [] and zoo.write_index(root) == []
    index = json.loads((root / "index.json").read_text())
    (row,) = index["modules"]
    assert row["name"] == "tiny/language/adapter/ky"
    assert row["files"] == zoo.info(str(folder)).card.files
    assert row["figures"] == {"perplexity after": 3.5} and row["bytes"] > 12_000
    module("tr")
    assert zoo.stale(root) == [root / "index.json"]


@pytest.mark.parametrize("tiny_folder", ["tiny_bert"], indirect=True)  # one is enough here
def test_the_index_knows_the_base_by_its_weights(tiny_zoo, tiny_base):
    zoo.write_index(tiny_zoo)
    known = json.loads((tiny_zoo / "index.json").read_text())["bases"][tiny_base.name]
    assert known == {
        "weights": tiny_base.fingerprint.weights,
        "vocabulary": tiny_base.fingerprint.vocabulary,
    }


def test_an_index_of_nothing_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no modules"):
        zoo.write_index(tmp_path)


@pytest.mark.parametrize("tiny_folder", ["tiny_bert"], indirect=True)  # one is enough here
def test_without_network_what_is_bundled_or_cached_ranks(hub, tiny_zoo, tiny_base, environment):
    """A real process with HF_HUB_OFFLINE=1 and every socket forbidden."""
    place = tiny_zoo / tiny_base.name / "ranking" / "adapter"
    hub.add("org/zoo", place / "bare", "ranking/bare")
    hub.add("org/zoo", place.parents[1] / "language" / "adapter" / "ky", "language/ky")
    for name in ("ranking/bare", "language/ky"):
        zoo.pull(f"org/zoo/{name}")
    code = f"""
import socket
def refuse(*_): raise AssertionError("a socket")
socket.socket.connect = refuse
import polyrank as pr, polyrank.zoo as zoo
assert [one.card.name for one in zoo.list_modules("{tiny_base.name}")] == ["ky", "bare"]
r = pr.Reranker({str(tiny_base.folder)!r}, ranking="org/zoo/ranking/bare", routing="query")
print([h.score for h in r.rank("water", ["boils", "iron"], "ky", "en")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    from polyrank import Reranker

    here = Reranker(tiny_base, ranking=str(place / "bare"), routing="query", zoo=tiny_zoo)
    expected = [hit.score for hit in here.rank("water", ["boils", "iron"], "ky", "en")]
    assert json.loads(done.stdout) == pytest.approx(expected, abs=1e-5)
