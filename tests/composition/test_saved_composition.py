"""Saved compositions: read back as written, and refused when anything is not as it was."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from polyrank.composition.plan import compose
from polyrank.composition.saved import read_composition, save_composition, saved
from polyrank.errors import CompositionError, ModuleError
from polyrank.modules.card import read_card, write_card


@pytest.fixture
def zoo(tiny_zoo, tiny_base, tmp_path):
    """A copy of the tiny zoo that may be changed."""
    shutil.copytree(tiny_zoo / tiny_base.name, tmp_path / "zoo" / tiny_base.name)
    return tmp_path / "zoo"


@pytest.fixture
def plan(tiny_base, zoo):
    return compose(tiny_base, "squad", "ky", "en", routing="split", zoo=zoo)


def change(folder):
    """Other weights, with a card that says so."""
    tensors = load_file(folder / "adapter.safetensors")
    save_file({k: v + 1 for k, v in tensors.items()}, folder / "adapter.safetensors")
    write_card(folder, read_card(folder, verify=False))


def test_it_is_read_as_it_was_written(plan, tiny_base, zoo, tmp_path):
    kept = save_composition(plan, tmp_path / "plan.json", "some/folder", zoo)
    assert read_composition(tmp_path / "plan.json") == kept
    assert kept.base == "some/folder" and kept.composition == plan
    assert [(p.role, p.name) for p in kept.parts] == [
        ("language", "ky"),
        ("language", "en"),
        ("ranking", "squad"),
    ]
    card = read_card(zoo / tiny_base.name / "ranking" / "adapter" / "squad")
    assert kept.parts[2].files == card.files
    kept.check(tiny_base, zoo)
    assert [p.name for p in tmp_path.glob("*.json*")] == ["plan.json"]


def test_a_module_that_the_routing_does_not_use_is_no_part(tiny_base, zoo):
    plan = compose(tiny_base, "squad", "ky", "en", routing="document", zoo=zoo)
    assert [part.name for part in saved(plan, zoo=zoo).parts] == ["en", "squad"]
    same = compose(tiny_base, "squad", "en", "en", routing="split", zoo=zoo)
    assert [part.name for part in saved(same, zoo=zoo).parts] == ["en", "squad"]


@pytest.mark.parametrize(("role", "name"), [("language", "ky"), ("ranking", "squad")])
def test_other_weights_of_a_module_are_refused(plan, tiny_base, zoo, role, name):
    kept = saved(plan, zoo=zoo)
    change(zoo / tiny_base.name / role / "adapter" / name)
    with pytest.raises(CompositionError) as error:
        kept.check(tiny_base, zoo)
    assert f"the {role} adapter '{name}' is not the one" in str(error.value)
    assert "adapter.safetensors was sha256" in str(error.value)
    assert "polyrank compose --base" in str(error.value) and "--ranking squad" in str(error.value)


def test_a_broken_or_missing_module_is_refused(plan, tiny_base, zoo):
    kept = saved(plan, zoo=zoo)
    folder = zoo / tiny_base.name / "language" / "adapter" / "ky"
    weights = bytearray((folder / "adapter.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "adapter.safetensors").write_bytes(weights)
    with pytest.raises(ModuleError, match="altered"):
        kept.check(tiny_base, zoo)
    shutil.rmtree(folder)
    with pytest.raises(ModuleError, match="there is no language adapter 'ky'"):
        kept.check(tiny_base, zoo)


def test_another_base_is_refused(plan, tiny_base, zoo):
    from types import SimpleNamespace

    from polyrank.base import Fingerprint

    other = SimpleNamespace(name="other", fingerprint=Fingerprint("0" * 16, "1" * 16))
    with pytest.raises(CompositionError, match="but this base is 'other'"):
        saved(plan, zoo=zoo).check(other, zoo)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format version 2; this polyrank reads 1"),
        ({"base": 3}, "not a composition: .*base is 3"),
        ({"modules": [{"role": "language"}]}, "not a composition"),
        (
            {"modules": [{"role": "language", "kind": "k", "name": "n", "files": {}}]},
            "without files",
        ),
        ({"composition": {}}, "not a composition"),
    ],
)
def test_what_a_file_may_not_say(plan, zoo, tmp_path, change, message):
    save_composition(plan, tmp_path / "plan.json", zoo=zoo)
    record = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(CompositionError, match=message):
        read_composition(tmp_path / "plan.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "\xff"])
def test_what_is_no_composition(tmp_path, text):
    (tmp_path / "plan.json").write_text(text, encoding="latin1")
    with pytest.raises(
        CompositionError, match="is not a composition(.|\n)*polyrank compose --output"
    ):
        read_composition(tmp_path / "plan.json")
    with pytest.raises(CompositionError, match="No such file"):
        read_composition(tmp_path / "none.json")
