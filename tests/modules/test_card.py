"""The card: what is written is read back, and what cannot be trusted is refused."""

import json
from dataclasses import replace

import pytest

from polyrank.base import Fingerprint
from polyrank.errors import ModuleError
from polyrank.modules.card import Data, ModuleCard, Parent, from_json, read_card, slug, write_card

CARD = ModuleCard(
    role="ranking",
    kind="adapter",
    name="squad",
    language="en",
    base="tiny",
    base_fingerprint=Fingerprint("3f9c" * 4, "81aa" * 4),
    parent=Parent("en", "en", "ab" * 32),
    recipe={"command": "polyrank train ranking --collection squad", "steps": 600, "seed": 1},
    figures={"nDCG@10": {"en": 0.5}},
    data=(Data("SQuAD", "CC-BY-SA-4.0", 87599),),
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"\x00\x01\x02")
    write_card(tmp_path, CARD)
    return tmp_path


def test_a_card_is_read_as_it_was_written(folder):
    # sha256 of the bytes 00 01 02
    expected = "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc"
    assert read_card(folder) == replace(CARD, files={"weights.bin": expected})


@pytest.mark.parametrize("position", range(3))
def test_a_flipped_byte_is_seen(folder, position):
    weights = bytearray((folder / "weights.bin").read_bytes())
    weights[position] ^= 1
    (folder / "weights.bin").write_bytes(weights)
    with pytest.raises(ModuleError, match="weights.bin was altered(.|\n)*polyrank train ranking"):
        read_card(folder)


def test_a_missing_file_is_seen(folder):
    (folder / "weights.bin").unlink()
    with pytest.raises(ModuleError, match="lacks its file"):
        read_card(folder)


def test_a_missing_card_says_what_to_do(tmp_path):
    with pytest.raises(ModuleError, match="not a polyrank module(.|\n)*zoo import"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format version 2; this polyrank reads 1"),
        ({"format_version": "1"}, "format version '1'"),
        ({"role": "reading"}, "role is 'reading'"),
        ({"kind": "lora"}, "kind is 'lora'"),
        ({"name": ""}, "'name' must not be empty"),
        ({"name": "../up"}, "not a plain folder name"),
        ({"files": {"../../etc/passwd": "00"}}, "own folder"),
        ({"files": {}}, "lists no files"),
        ({"base_fingerprint": {"weights": "1"}}, "lacks or misnames a field"),
        ({"colour": "red"}, "lacks or misnames a field"),
        ({"licence": 5}, "licence is 5, where a text was"),
        ({"files": {"weights.bin": None}}, "files.weights.bin is None"),
        ({"base_fingerprint": {"weights": 5, "vocabulary": "0"}}, "base_fingerprint.weights is 5"),
        ({"parent": {"name": "en", "language": [], "sha256": "0"}}, "parent.language is"),
        ({"data": [{"name": 5, "licence": "MIT"}]}, "data.name is 5"),
        ({"recipe": {"note": ["\x1b[2J"]}}, "control character '.x1b'"),
        ({"recipe": {"\x9b2J": 1}}, "control character '.x9b'"),
    ],
)
def test_what_a_card_may_not_say(folder, change, message):
    record = {**json.loads((folder / "polyrank.json").read_text()), **change}
    (folder / "polyrank.json").write_text(json.dumps(record))
    with pytest.raises(ModuleError, match=message):
        read_card(folder)


def test_what_a_recipe_may_say(folder):
    recipe = {"command": "C:\\bin\\u001b\n\tна кыргызском", "nested": {"a": [{"b": ["c"]}]}}
    card = write_card(folder, replace(CARD, recipe=recipe))
    assert read_card(folder) == card and card.recipe == recipe


DEEP = '{"format_version": 1, "recipe": ' + "[" * 200 + "]" * 200 + "}"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"role": "language"}', "[" * 200_000, DEEP]
)
def test_what_is_no_card(text):
    with pytest.raises(ModuleError, match="is not a module card"):
        from_json(text, "polyrank.json")


def test_the_readme_has_metadata_that_the_hub_reads(folder):
    yaml = pytest.importorskip("yaml")
    _, header, body = (folder / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(header) == {
        "language": ["en"],
        "base_model": "tiny",
        "license": "apache-2.0",
        "library_name": "adapters",
        "tags": ["polyrank", "ranking", "adapter", "adapter-transformers"],
        "datasets": ["SQuAD"],
        "metrics": ["nDCG@10"],
        "pipeline_tag": "text-ranking",
    }
    assert "polyrank train ranking --collection squad" in body
    assert "over the language module `en`" in body


def test_a_base_as_a_folder_name():
    assert slug("tiny") == "tiny"
    assert slug("google-bert/bert-base-multilingual-cased").count("/") == 0
    assert slug("/somewhere/else/base-x") == "base-x"
