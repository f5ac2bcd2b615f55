"""What must not get in: each is refused with what to do, and nothing of it stays in the cache."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from polyrank import zoo
from polyrank.errors import HubError, ModuleError, PolyrankError
from polyrank.modules.soundness import check_folder
from polyrank.zoo import download as pulling
from polyrank.zoo.names import hub_name


class Payload:
    """Pickled, it writes a file when it is opened."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def rewrite(folder, **changes):
    """Change the card's record."""
    path = folder / "polyrank.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def listing(folder, name, content):
    """Put a file into a module, listed with its true sha256."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "polyrank.json").read_text())["files"]
    rewrite(folder, files={**files, name: hashlib.sha256(content).hexdigest()})


def flipped(folder):
    content = bytearray((folder / "adapter.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "adapter.safetensors").write_bytes(content)


def truncated(folder):
    content = (folder / "adapter.safetensors").read_bytes()
    (folder / "adapter.safetensors").write_bytes(content[:-4])


def truncated_and_listed(folder):
    listing(folder, "adapter.safetensors", (folder / "adapter.safetensors").read_bytes()[:-4])


def linked(folder):  # the Hub serves a symbolic link as a file that holds its target
    (folder / "adapter.safetensors").write_bytes(b"../../../../etc/passwd")


def linked_and_listed(folder):
    listing(folder, "adapter.safetensors", b"../../../../etc/passwd")


def pickled(folder):
    listing(folder, "pytorch_adapter.bin", pickle.dumps(Payload(folder.parent / "ran")))


def pickled_in_disguise(folder):
    listing(folder, "adapter.safetensors", pickle.dumps(Payload(folder.parent / "ran")))


def climbing(name):
    return lambda folder: rewrite(folder, files={name: "00" * 32})


BROKEN = {
    "a flipped byte": (flipped, "has the sha256 (.|\n)*truncated or altered"),
    "a truncated file": (truncated, "has the sha256 (.|\n)*truncated or altered"),
    "a truncated file, listed so": (truncated_and_listed, "not a whole safetensors file"),
    "a symbolic link": (linked, "has the sha256 (.|\n)*truncated or altered"),
    "a symbolic link, listed so": (linked_and_listed, "not a whole safetensors file"),
    "a pickle": (pickled, "may be a pickle(.|\n)*was not opened(.|\n)*polyrank zoo import"),
    "a pickle in disguise": (pickled_in_disguise, "not a whole safetensors file"),
    "a format of the future": (
        lambda folder: rewrite(folder, format_version=99),
        "format version 99; this polyrank reads 1(.|\n)*Upgrade",
    ),
    "../ in files": (climbing("../../../evil.json"), "own folder(.|\n)*Do not use"),
    "an absolute file": (climbing("/etc/cron.d/x"), "own folder(.|\n)*Do not use"),
    "a backslash in files": (climbing("..\\evil.json"), "not a plain file name(.|\n)*Do not use"),
    "a hidden file": (climbing(".origin.json"), "not a plain file name(.|\n)*Do not use"),
    "a card that another file replaces": (  # where names differ by more than their case alone
        lambda folder: listing(folder, "Polyrank.json", b"{}"),
        "not a plain file name(.|\n)*Do not use",
    ),
    "a script": (lambda folder: listing(folder, "setup.py", b"1"), "not a file of a module"),
    "no files": (lambda folder: rewrite(folder, files={}), "lists no files"),
    "a base that climbs": (lambda folder: rewrite(folder, base="../.."), "not a plain path"),
    "a base at the root": (lambda folder: rewrite(folder, base="."), "not a plain path"),
    "a name that climbs": (lambda folder: rewrite(folder, name="a/../../b"), "not a plain folder"),
    "no JSON": (lambda folder: (folder / "polyrank.json").write_text("{"), "not a module card"),
    "no text": (lambda folder: (folder / "polyrank.json").write_bytes(b"\xff"), "is not text"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_or_unsafe_is_refused(case, hub, module, cache, tmp_path, files_left):
    break_it, message = BROKEN[case]
    folder = module(size=100)
    break_it(folder)
    hub.add("org/bad", folder)
    around = {p for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "hf")}
    with pytest.raises(ModuleError, match=message):
        zoo.pull("org/bad")
    assert files_left(cache) == [] and zoo.list_modules("tiny") == []
    now = {p for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "hf")}
    assert all(p.is_relative_to(cache.parent) for p in now - around)  # no file beside the cache
    assert not (folder.parent / "ran").exists()  # no payload ran
    with pytest.raises(ModuleError, match=message):  # nor does the second try find a copy
        zoo.find("tiny", "language", "adapter", "org/bad")


def test_a_wrong_checksum_is_gone_from_the_hubs_cache_too(hub, module, tmp_path, files_left):
    folder = module()
    sound = (folder / "adapter.safetensors").read_bytes()
    flipped(folder)
    hub.add("org/tiny-ky", folder)
    with pytest.raises(ModuleError, match="Pull another revision"):
        zoo.pull("org/tiny-ky")
    bad = hashlib.sha256((folder / "adapter.safetensors").read_bytes()).hexdigest()
    assert not any(bad in path for path in files_left(tmp_path / "hf"))
    hub.repository("org/tiny-ky").commit({"adapter.safetensors": sound})
    assert zoo.pull("org/tiny-ky").card.name == "ky"


def test_a_file_that_rotted_in_the_hubs_cache_is_fetched_again(hub, module, tmp_path):
    hub.add("org/tiny-ky", module())
    zoo.pull("org/tiny-ky")
    zoo.remove("org/tiny-ky")
    (blob,) = [p for p in (tmp_path / "hf").rglob("*/blobs/*") if p.stat().st_size > 5000]
    blob.write_bytes(b"\x00" + blob.read_bytes()[1:])
    assert zoo.pull("org/tiny-ky").card.name == "ky"


def test_a_listing_that_climbs_is_neither_followed_nor_shown(hub, module, tmp_path, files_left):
    hub.add("org/zoo", module(), "language/ky")
    evil = ["../../../evil/polyrank.json", "a/../../../b/polyrank.json", "../evil.txt"]
    hub.repository("org/zoo").extra_listed = evil
    assert zoo.pull("org/zoo/language/ky").card.name == "ky"
    with pytest.raises(HubError) as error:
        zoo.pull("org/zoo")
    assert "org/zoo/language/ky" in str(error.value) and "evil" not in str(error.value)
    with pytest.warns(UserWarning, match="skipped"):
        assert [one.name for one in zoo.list_remote("org/zoo")] == ["org/zoo/language/ky"]
    assert not any("evil" in path for path in files_left(tmp_path))


@pytest.mark.parametrize("part", ["weights", "vocabulary"])
def test_a_module_for_another_base_or_vocabulary(part, hub, module, cache, files_left):
    folder = module()
    made_for = zoo.info(str(folder)).card.base_fingerprint
    hub.add("org/tiny-ky", folder)
    other = replace(made_for, **{part: "0000" * 4})
    with pytest.raises(ModuleError, match="was made for base 'tiny'(.|\n)*polyrank train language"):
        pulling.pull(hub_name("org/tiny-ky"), expected=other)
    assert files_left(cache) == []
    assert pulling.pull(hub_name("org/tiny-ky"), expected=made_for).folder.is_dir()


def test_a_base_that_the_zoo_knows_is_checked_unasked(hub, module, knows, monkeypatch):
    made = module(base="known")
    hub.add("org/tiny-ky", made)
    monkeypatch.setenv("POLYRANK_ZOO", str(knows("known", "0000" * 4)))
    with pytest.raises(ModuleError, match="made for base 'known' (.|\n)*the base here is another"):
        zoo.pull("org/tiny-ky")
    weights = zoo.info(str(made)).card.base_fingerprint.weights
    monkeypatch.setenv("POLYRANK_ZOO", str(knows("known", weights)))
    assert zoo.pull("org/tiny-ky").card.base == "known"


@pytest.mark.parametrize("tiny_folder", ["tiny_bert"], indirect=True)  # one is enough here
def test_the_composition_refuses_a_pulled_module_for_another_base(hub, module, tiny_base):
    from polyrank.composition.plan import compose

    hub.add("org/squad", module(name="squad", role="ranking", base=tiny_base.name))
    with pytest.raises(ModuleError, match="but this base is(.|\n)*polyrank train ranking"):
        compose(tiny_base, "org/squad", routing="none")


def test_a_symbolic_link_in_a_folder(module, tmp_path):
    folder = module()
    outside = tmp_path / "outside.safetensors"
    (folder / "adapter.safetensors").rename(outside)
    (folder / "adapter.safetensors").symlink_to(outside)
    with pytest.raises(ModuleError, match="is a symbolic link (.|\n)*cp -rL"):
        check_folder(folder)
    with pytest.raises(PolyrankError, match="symbolic link"):
        zoo.push(str(folder), "org/tiny-ky")


def test_a_pickle_beside_the_listed_files_of_a_folder(module):
    folder = module()
    (folder / "pytorch_adapter.bin").write_bytes(pickle.dumps(Payload(folder / "ran")))
    with pytest.raises(ModuleError, match="may be a pickle"):
        check_folder(folder)
    assert not (folder / "ran").exists()
