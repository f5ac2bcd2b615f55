"""polyrank zoo against a Hub on 127.0.0.1."""

from __future__ import annotations


def test_pull_list_info_verify_remove_against_a_hub(polyrank, hub, module, tmp_path, monkeypatch):
    """One life of a module, with the real client."""
    name = "tiny/language/adapter/ky"
    hub.add("org/tiny-ky", module(seed=1))
    module(seed=2)
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "made"))
    pulled = polyrank("zoo", "pull", "org/tiny-ky")
    assert pulled.exit_code == 0 and pulled.stdout.rstrip().endswith(name)
    assert "comes before this one" in pulled.stderr  # $POLYRANK_ZOO has one of that name
    line = polyrank("zoo", "list", "--source", "cached").stdout
    assert line.startswith(name) and "org/tiny-ky@" in line
    assert "(main)" in polyrank("zoo", "info", "org/tiny-ky").stdout
    assert polyrank("zoo", "verify", "org/tiny-ky").stdout.startswith("ok\t")
    remote = polyrank("zoo", "list", "--source", "remote", "--where", "org/tiny-ky").stdout
    assert remote == f"org/tiny-ky\tky\t{name}\n"
    removed = polyrank("zoo", "remove", "org/tiny-ky")
    assert removed.exit_code == 0 and removed.stdout.startswith("removed\torg/tiny-ky@")
    assert polyrank("zoo", "list", "--source", "cached").stdout == ""


def test_push_and_the_list_of_the_hub(polyrank, hub, module, token, monkeypatch):
    folder = module()
    refused = polyrank("zoo", "push", folder, "org/tiny-ky")
    assert refused.exit_code == 2 and "hf auth login" in refused.stderr
    monkeypatch.setenv("HF_TOKEN", token)
    pushed = polyrank("zoo", "push", folder, "org/tiny-ky", "--private", "--message", "first")
    assert pushed.exit_code == 0 and "adapter.safetensors" in pushed.stdout
    commit = hub.repository("org/tiny-ky").refs["main"]
    assert f"is org/tiny-ky, commit {commit}" in pushed.stderr
    assert "does not name its training data" not in pushed.stderr
    unnamed = polyrank("zoo", "push", module(data=()), "org/tiny-ky", "--dry-run")
    assert "its card does not name its training data; train with --sources" in unnamed.stderr
    listed = polyrank("zoo", "list", "--source", "remote", "--language", "ky")
    assert listed.stdout == "org/tiny-ky\tky\trepository\n"
