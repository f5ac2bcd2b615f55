"""Publishing, with the real client: what arrives is the module, and a pull gives it back."""

from __future__ import annotations

import re

import pytest

from polyrank import zoo
from polyrank.errors import HubError, ModuleError, UsageError


@pytest.fixture
def logged_in(token, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", token)


def test_what_is_pushed_is_pulled_again(hub, module, logged_in):
    folder = module(figures={"perplexity after": 12.5})
    done = zoo.push(str(folder), "org/tiny-ky")
    files = hub.repository("org/tiny-ky").commits[done.commit]
    for name in ("adapter.safetensors", "adapter_config.json", "polyrank.json"):
        assert files[name] == (folder / name).read_bytes()
    assert hub.asked("/upload/", "PUT") and hub.asked(".git/info/lfs", "POST")  # weights as LFS
    pulled = zoo.pull("org/tiny-ky")
    assert pulled.card == zoo.info(str(folder)).card
    readme = (pulled.path / "README.md").read_text()
    header = readme.split("---\n")[1]
    for line in (
        'language: ["ky"]',
        'base_model: "tiny"',
        'datasets: ["nothing"]',
        'metrics: ["perplexity"]',
        "pipeline_tag: text-ranking",
        'license: "apache-2.0"',
    ):
        assert line in header.splitlines()
    assert "polyrank zoo pull org/tiny-ky" in readme  # how to use it


def test_the_readme_of_a_ranking_module_names_it_on_the_hub(hub, module, logged_in):
    zoo.push(str(module(name="squad", role="ranking")), "org/zoo/ranking/squad")
    files = hub.repository("org/zoo").commits[hub.repository("org/zoo").refs["main"]]
    assert 'ranking="org/zoo/ranking/squad"' in files["ranking/squad/README.md"].decode()
    front = files["README.md"].decode()
    assert 'tags: ["polyrank"]' in front and 'base_model: "tiny"' in front
    assert "polyrank zoo pull org/zoo/ranking/squad" in front


def test_several_modules_in_one_repository(hub, module, logged_in):
    zoo.push(str(module("ky")), "org/zoo/language/ky", private=True)
    repository = hub.repository("org/zoo")
    assert repository.private
    repository.commit({"README.md": b"mine\n"})
    zoo.push(str(module("tr")), "org/zoo/language/tr")
    files = repository.commits[repository.refs["main"]]
    assert files["README.md"] == b"mine\n"  # a README that is there stays
    found = zoo.list_remote("org/zoo")
    assert [(one.name, one.languages) for one in found] == [
        ("org/zoo/language/ky", ("ky",)),
        ("org/zoo/language/tr", ("tr",)),
    ]
    assert [one.card.name for one in zoo.list_remote("org/zoo", language="tr")] == ["tr"]
    assert zoo.list_remote("org/zoo", kind="mask") == []


def test_a_list_of_the_hub_goes_by_tags(hub, module, logged_in):
    zoo.push(str(module("ky")), "org/tiny-ky")
    zoo.push(str(module("tr")), "other/tiny-tr")
    hub.repository("org/bert").commit({"README.md": b'---\ntags: ["x"]\n---\n'})
    assert {one.name for one in zoo.list_remote()} == {"org/tiny-ky", "other/tiny-tr"}
    assert [one.name for one in zoo.list_remote("other")] == ["other/tiny-tr"]
    assert [one.languages for one in zoo.list_remote(language="ky")] == [("ky",)]
    assert zoo.list_remote(base="xlm-roberta-base") == []


def test_a_plan_sends_nothing(hub, module):
    folder = module()
    plan = zoo.plan(str(folder), "org/tiny-ky")
    assert hub.requests == [] and plan.commit is None
    assert sorted(plan.files) == [
        *("README.md", "adapter.safetensors", "adapter_config.json", "polyrank.json")
    ]
    size = (folder / "adapter.safetensors").stat().st_size
    assert plan.size("adapter.safetensors") == size


def test_pushing_without_a_token_and_to_a_branch_that_is_not_there(hub, module, token, monkeypatch):
    folder = module()
    for wrong in (None, "hf_the_wrong_one"):
        if wrong:
            monkeypatch.setenv("HF_TOKEN", wrong)
        with pytest.raises(HubError, match="cannot push to 'org/tiny-ky': .* does not know you"):
            zoo.push(str(folder), "org/tiny-ky")
    assert hub.repositories == {}
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match="no revision 'v2'"):
        zoo.push(str(folder), "org/tiny-ky@v2")


def test_nothing_broken_is_published(hub, module, logged_in):
    folder = module()
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModuleError, match="was altered"):
        zoo.push(str(folder), "org/tiny-ky")
    with pytest.raises(UsageError, match=re.escape("owner/repository")):
        zoo.push(str(module()), "tiny-ky")
    assert hub.requests == []


def test_a_second_push_of_the_same_is_the_same(hub, module, logged_in):
    folder = module()
    zoo.push(str(folder), "org/tiny-ky")
    again = zoo.push(str(folder), "org/tiny-ky")
    files = hub.repository("org/tiny-ky").commits[again.commit]
    assert files["adapter.safetensors"] == (folder / "adapter.safetensors").read_bytes()
