"""Pulling, with the real client against a Hub on 127.0.0.1: what arrives is found and is whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from polyrank import zoo
from polyrank.errors import HubError, ModuleError, UsageError
from polyrank.modules.card import read_card
from polyrank.zoo.cache import cached_modules, renew
from polyrank.zoo.names import hub_name


def test_a_pulled_module_is_found_by_every_name(hub, module, cache):
    folder = module()
    commit = hub.add("org/tiny-ky", folder)
    entry = zoo.pull("org/tiny-ky")
    assert (entry.name, entry.source) == ("tiny/language/adapter/ky", "cached")
    assert entry.path.is_relative_to(cache) and commit in str(entry.path)
    for file in folder.iterdir():
        assert (entry.path / file.name).read_bytes() == file.read_bytes()
        assert not (entry.path / file.name).is_symlink()
    for name in ("ky", "tiny/language/adapter/ky", "org/tiny-ky", f"org/tiny-ky@{commit}"):
        assert zoo.find("tiny", "language", "adapter", name) == entry.path
    assert [e.path for e in zoo.list_modules("tiny")] == [entry.path]
    assert zoo.info("org/tiny-ky").origin == f"org/tiny-ky@{commit[:8]} (main)"


def test_a_ranking_module_is_pulled_when_it_is_named_and_only_then(hub, module):
    hub.add("org/zoo", module(name="squad", role="ranking"), "ranking/squad")
    folder = zoo.find("tiny", "ranking", "adapter", "org/zoo/ranking/squad")
    assert read_card(folder).name == "squad"
    asked = len(hub.requests)
    assert zoo.find("tiny", "ranking", "adapter", "org/zoo/ranking/squad") == folder
    assert len(hub.requests) == asked  # what is there is used without asking


def test_only_what_the_card_lists_is_fetched(hub, module):
    hub.add("org/tiny-ky", module())
    hub.repository("org/tiny-ky").commit({"huge.bin": b"x" * 1000, "run.py": b"print()"})
    entry = zoo.pull("org/tiny-ky")
    assert not hub.asked("huge.bin") and not hub.asked("run.py")
    assert {p.name for p in entry.path.iterdir()} == {
        *("polyrank.json", "README.md", ".origin.json"),
        *("adapter.safetensors", "adapter_config.json"),
    }


def test_a_second_pull_fetches_no_weights_even_when_the_hubs_cache_is_gone(hub, module, tmp_path):
    hub.add("org/tiny-ky", module())
    first = zoo.pull("org/tiny-ky")
    shutil.rmtree(tmp_path / "hf")
    assert zoo.pull("org/tiny-ky").path == first.path
    assert len(hub.asked("/large/")) == 1


def test_revisions_stand_side_by_side_and_a_branch_moves(hub, module):
    hub.add("org/tiny-ky", module(seed=1))
    repository = hub.repository("org/tiny-ky")
    repository.refs["v1"] = repository.refs["main"]
    old = zoo.pull("org/tiny-ky@v1")
    assert zoo.pull("org/tiny-ky").path == old.path  # one commit, two names for it
    assert zoo.info("org/tiny-ky").origin.endswith("(main, v1)")
    hub.add("org/tiny-ky", module(seed=2))
    assert zoo.find("tiny", "language", "adapter", "org/tiny-ky") == old.path  # until pulled again
    new = zoo.pull("org/tiny-ky")
    assert new.path != old.path and new.card.files != old.card.files
    assert zoo.find("tiny", "language", "adapter", "ky") == new.path  # the newest pull
    assert zoo.find("tiny", "language", "adapter", "org/tiny-ky@v1") == old.path
    zoo.pull("org/tiny-ky@v1")  # the older commit, pulled last, is not taken for main
    assert zoo.find("tiny", "language", "adapter", "org/tiny-ky") == new.path
    assert zoo.find("tiny", "language", "adapter", "org/tiny-ky@v1") == old.path


def test_a_bundled_or_given_module_comes_before_a_pulled_one(hub, module, tmp_path, monkeypatch):
    hub.add("org/tiny-ky", module(seed=1))
    folder = module(seed=2)
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "made"))
    with pytest.warns(
        UserWarning, match="comes before this one; to use this one set POLYRANK_ZOO="
    ):
        entry = zoo.pull("org/tiny-ky")
    assert zoo.find("tiny", "language", "adapter", "ky") == folder
    assert zoo.find("tiny", "language", "adapter", "org/tiny-ky") == entry.path


# ------------------------------------------------------------------------ connections that break


@pytest.fixture
def small_chunks(monkeypatch):
    """The client keeps what came in whole chunks, of 10 MB by default."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)


def test_a_cut_connection_goes_on_where_it_was(hub, module, small_chunks):
    folder = module(size=300_000)
    hub.add("org/tiny-ky", folder)
    hub.cuts["/large/"] = [512_345, 200_000]
    entry = zoo.pull("org/tiny-ky")
    ranges = hub.asked("/large/")
    assert ranges[0] is None and len(ranges) == 3
    starts = [int(r.removeprefix("bytes=").rstrip("-")) for r in ranges[1:]]
    assert starts == [500_000, 700_000]
    whole = (folder / "adapter.safetensors").read_bytes()
    assert (entry.path / "adapter.safetensors").read_bytes() == whole


def test_a_download_that_was_given_up_is_resumed_by_the_next_pull(
    hub, module, small_chunks, cache, files_left
):
    hub.add("org/tiny-ky", module(size=300_000))
    hub.cuts["/large/"] = [100_000] * 5
    with pytest.raises(HubError, match="Run the same command again; what came is kept"):
        zoo.pull("org/tiny-ky")
    assert files_left(cache) == []
    assert zoo.list_modules("tiny") == []
    zoo.pull("org/tiny-ky")
    assert hub.asked("/large/")[-1] == "bytes=500000-"


def test_an_unreachable_hub_says_what_to_do_or_gives_the_copy(hub, module):
    hub.add("org/tiny-ky", module())
    entry = zoo.pull("org/tiny-ky")
    hub.stop()
    with pytest.warns(UserWarning, match="was not reached: 'org/tiny-ky' is the copy pulled at"):
        assert zoo.pull("org/tiny-ky").path == entry.path
    with pytest.raises(HubError) as error:
        zoo.pull("org/tiny-tr")
    assert hub.url in str(error.value) and "Connection refused" in str(error.value)
    assert "hf download org/tiny-tr --local-dir DIR" in str(error.value)
    with pytest.raises(HubError, match="cannot list 'the Hub'(.|\n)*not reached") as error:
        zoo.list_remote()
    assert "hf download" not in str(error.value) and "cache" not in str(error.value)


def test_a_full_disk_says_so(hub, module, monkeypatch, cache, files_left):
    hub.add("org/tiny-ky", module())
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_, **__):
        raise full

    monkeypatch.setattr("shutil.copyfile", refuse)
    with pytest.raises(HubError, match="No space left on device(.|\n)*POLYRANK_CACHE"):
        zoo.pull("org/tiny-ky")
    assert files_left(cache) == []


def test_offline_what_is_cached_works_and_the_rest_says_why(hub, module, offline):
    hub.add("org/tiny-ky", module())
    entry = zoo.pull("org/tiny-ky")
    offline()
    asked = len(hub.requests)
    for name in ("ky", "org/tiny-ky"):
        assert zoo.find("tiny", "language", "adapter", name) == entry.path
    with pytest.warns(UserWarning, match="is the copy pulled at"):
        assert zoo.pull("org/tiny-ky").path == entry.path
    with pytest.raises(HubError, match="HF_HUB_OFFLINE=1 forbids"):
        zoo.pull("org/tiny-tr")
    assert len(hub.requests) == asked


def test_offline_what_only_the_hubs_cache_holds_is_taken_from_there(hub, module, offline):
    hub.add("org/zoo", module(), "language/ky")
    zoo.pull("org/zoo/language/ky")
    zoo.remove("org/zoo/language/ky")
    offline()
    assert zoo.pull("org/zoo/language/ky").card.name == "ky"


# ------------------------------------------------------------------------------ what is not there


def test_a_missing_revision(hub, module):
    hub.add("org/tiny-ky", module())
    with pytest.raises(HubError, match="no revision 'v9'(.|\n)*leave out '@'"):
        zoo.pull("org/tiny-ky@v9")


def test_a_missing_repository_and_a_missing_path(hub, module):
    with pytest.raises(HubError, match="no repository 'org/nothing'(.|\n)*spelling"):
        zoo.pull("org/nothing")
    hub.add("org/zoo", module(), "language/ky")
    with pytest.raises(HubError, match="holds others:\n  polyrank zoo pull org/zoo/language/ky"):
        zoo.pull("org/zoo")
    hub.repository("org/bert").commit({"model.safetensors": b""})
    with pytest.raises(HubError, match="polyrank zoo import org/bert"):
        zoo.pull("org/bert")


def test_a_private_repository_needs_the_token(hub, module, token, monkeypatch):
    hub.add("org/secret", module(), private=True)
    for wrong in (None, "hf_another"):
        if wrong:
            monkeypatch.setenv("HF_TOKEN", wrong)
        with pytest.raises(HubError, match="private(.|\n)*hf auth login(.|\n)*HF_TOKEN"):
            zoo.pull("org/secret")
    monkeypatch.setenv("HF_TOKEN", token)
    assert zoo.pull("org/secret").card.name == "ky"


def test_a_hub_that_is_down(hub, module, monkeypatch):
    hub.add("org/tiny-ky", module())
    monkeypatch.setattr(
        hub.RequestHandlerClass, "_info", lambda self, *_: self._error(503, None, "down")
    )
    with pytest.raises(HubError, match="was not reached"):
        zoo.pull("org/tiny-ky")


@pytest.mark.parametrize(
    "name",
    ["ky", "org/../ky", "org/ky/../../x", "org/ky@", "org/ky@../x", "org/.ky", "/etc/passwd"],
)
def test_names_that_are_none(name):
    with pytest.raises(UsageError, match="not a name of a module on the Hub"):
        zoo.pull(name)


# ---------------------------------------------------------------------------------- many at once


def test_processes_that_pull_at_once_all_get_it(hub, module, cache, files_left, environment):
    commit = hub.add("org/tiny-ky", module(size=200_000))
    code = "from polyrank import zoo; print(zoo.pull('org/tiny-ky').path)"
    command = [sys.executable, "-c", code]
    children = [
        subprocess.Popen(
            command,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], outputs
    assert len({out for out, _ in outputs}) == 1
    place = f"org%2Ftiny-ky/{commit}/tiny/language/adapter/ky"
    names = (".origin.json", "README.md", "adapter.safetensors", "adapter_config.json")
    assert files_left(cache) == [f"{place}/{name}" for name in (*names, "polyrank.json")]


def test_a_branch_that_two_processes_see_at_two_commits(hub, module):
    """Each takes the branch's name from the commit that the other is signing."""
    cards = {}
    for seed in (1, 2):
        commit = hub.add("org/tiny-ky", module(seed=seed, size=10))
        cards[commit] = zoo.pull("org/tiny-ky").card

    def renewed(commit):
        return [renew(hub_name("org/tiny-ky"), commit, cards[commit]) for _ in range(40)]

    with ThreadPoolExecutor(4) as threads:
        assert all(None not in found for found in threads.map(renewed, [*cards] * 2))
    assert sum("main" in one.revisions for one in cached_modules()) <= 1


def test_what_a_killed_process_left_is_swept_away(hub, module, cache, files_left):
    commit = hub.add("org/tiny-ky", module())
    leftover = cache / "org%2Ftiny-ky" / commit / "tiny/language/adapter/.ky-abc123"
    leftover.mkdir(parents=True)
    (leftover / "polyrank.json").write_text("{")
    assert zoo.list_modules("tiny") == []
    zoo.pull("org/tiny-ky")
    assert not leftover.exists()
    assert not any(".ky-" in path for path in files_left(cache))


def test_a_copy_that_rotted_is_put_right_by_the_next_pull(hub, module):
    hub.add("org/tiny-ky", module())
    entry = zoo.pull("org/tiny-ky")
    weights = entry.path / "adapter.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(b"\x00" + sound[1:])
    with pytest.raises(ModuleError, match="was altered"):
        zoo.info("org/tiny-ky")
    zoo.pull("org/tiny-ky")
    assert weights.read_bytes() == sound


def test_the_origin_is_readable(hub, module):
    commit = hub.add("org/tiny-ky", module())
    origin = json.loads((zoo.pull("org/tiny-ky").path / ".origin.json").read_text())
    assert (origin["repository"], origin["commit"]) == ("org/tiny-ky", commit)
    assert origin["revisions"] == ["main"]
