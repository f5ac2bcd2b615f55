"""polyrank zoo import and export."""

import json
import os
import sys

import pytest
import torch

from polyrank.late_interaction.model import LateInteraction

from ..late_interaction.conftest import late_masks, late_zoo  # noqa: F401


def test_out_and_in_again(polyrank, tiny, tmp_path):
    base = tiny[1]
    out, zoo = tmp_path / "out", tmp_path / "zoo"
    result = polyrank("zoo", "export", f"{base}/language/adapter/ky", "--output", out)
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    options = ["--language", "kir", "--base", base, "--zoo", zoo]
    result = polyrank("zoo", "import", out, *options)
    assert (result.exit_code, result.stdout) == (0, f"{zoo / base / 'language/adapter/ky'}\n")
    assert "unverified: its author" in result.stderr
    result = polyrank("zoo", "import", out, *options, "--trust-base", "--name", "own", "--json")
    row = json.loads(result.stdout)
    assert row["name"] == f"{base}/language/adapter/own" and row["language"] == "ky"
    assert row["base_fingerprint"]["weights"] != "unverified" and not result.stderr
    assert polyrank("zoo", "info", row["folder"]).exit_code == 0


def test_an_imported_module_is_used_with_a_note(polyrank, tiny, tmp_path, monkeypatch):
    base, out, zoo = tiny[1], tmp_path / "out", tmp_path / "zoo"
    polyrank("zoo", "export", f"{base}/language/adapter/ky", "--output", out)
    polyrank("zoo", "import", out, "--language", "kk", "--base", base, "--zoo", zoo)
    monkeypatch.setenv("POLYRANK_ZOO", f"{zoo}{os.pathsep}{os.environ['POLYRANK_ZOO']}")
    pair = ["--query-language", "kk", "--document-language", "en"]
    result = polyrank("compose", *tiny, *pair)
    assert result.exit_code == 0
    assert f"note: unverified: the language module 'kk' was imported as one for '{base}'" in (
        result.stdout
    )


def test_refusals(polyrank, tiny, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not lose me")
    name = f"{tiny[1]}/language/adapter/ky"
    result = polyrank("zoo", "export", name, "--output", tmp_path / "full")
    assert result.exit_code == 2 and "exists already; give another" in result.stderr
    assert (tmp_path / "full" / "thesis.txt").read_text() == "do not lose me"
    monkeypatch.delenv("POLYRANK_ZOO")
    result = polyrank("zoo", "import", tmp_path / "full", "--language", "ky")
    assert result.exit_code == 2 and "--zoo DIR or set POLYRANK_ZOO" in result.stderr
    result = polyrank("zoo", "import", tmp_path / "full", "--language", "ky", "--zoo", tmp_path)
    assert result.exit_code == 2 and "is not a module that polyrank reads" in result.stderr


@pytest.mark.parametrize(
    ("kind", "ranking", "more"),
    [("mask", "li", []), ("mask", "li", ["--language", "ky"]), ("full", "moved", [])],
)
def test_late_interaction_for_pylate(
    polyrank,
    tiny,
    late_zoo,  # noqa: F811
    late_masks,  # noqa: F811
    tmp_path,
    monkeypatch,
    kind,
    ranking,
    more,
):
    """The checkpoint has the vectors of the module that it was written from."""
    monkeypatch.setenv("POLYRANK_ZOO", os.pathsep.join([str(late_zoo), str(late_masks)]))
    name, out = f"{tiny[1]}/ranking/{kind}/{ranking}", tmp_path / "out"
    result = polyrank("zoo", "export", name, "--output", out, *more)
    assert result.exit_code == 0 and "pads to: 12" in result.stderr, result.stderr
    routing = "split" if more else "none"
    here = LateInteraction(tiny[1], ranking, kind, routing, device="cpu")
    there = LateInteraction(ranking=str(out), device="cpu")
    (one,), (two,) = (model.encode_documents(["abc, de"], "ky") for model in (here, there))
    assert torch.allclose(one, two, atol=1e-5)


def test_what_pylate_has_no_place_for(polyrank, tiny, late_zoo, tmp_path):  # noqa: F811
    adapter = f"{tiny[1]}/ranking/adapter/li"
    result = polyrank("zoo", "export", adapter, "--output", tmp_path / "a")
    assert result.exit_code == 0 and (tmp_path / "a" / "projection.safetensors").is_file()
    result = polyrank("zoo", "export", adapter, "--output", tmp_path / "b", "--language", "ky")
    assert result.exit_code == 2 and "goes with a late-interaction mask" in result.stderr


def test_a_full_disk_is_said_and_leaves_nothing(polyrank, tiny, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    # What is imported meanwhile would be cached cut short, and every later run would fail on it.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name, before = f"{tiny[1]}/language/adapter/ky", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        result = polyrank("zoo", "export", name, "--output", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 2 and "File too large" in result.stderr
    assert list(tmp_path.glob("*out*")) == []
