"""polyrank zoo."""

import json
import shutil


def test_list_and_info(tiny, tiny_zoo, polyrank):
    name = tiny[1]
    lines = polyrank("zoo", "list", *tiny).stdout.splitlines()
    assert f"{name}/ranking/adapter/squad\ten" in {line.rsplit("\t", 3)[0] for line in lines}
    rows = json.loads(polyrank("zoo", "list", *tiny, "--language", "kir", "--json").stdout)
    assert [row["name"] for row in rows] == [f"{name}/language/adapter/ky"]
    assert rows[0]["bytes"] > 0
    card = polyrank("zoo", "info", rows[0]["name"]).stdout
    assert "language" in card and "ky" in card
    whole = json.loads(polyrank("zoo", "info", rows[0]["name"], "--json").stdout)
    assert whole["role"] == "language" and whole["files"]


def test_a_list_of_nothing_says_so(tiny, polyrank):
    result = polyrank("zoo", "list", *tiny, "--language", "fr")
    assert result.exit_code == 0 and result.stdout == ""
    assert "no module matches" in result.stderr


def test_a_broken_module_is_named(tiny, tiny_zoo, polyrank, tmp_path, monkeypatch):
    broken = tmp_path / "zoo" / tiny[1] / "language" / "adapter" / "xx"
    broken.mkdir(parents=True)
    (broken / "polyrank.json").write_text("{")
    monkeypatch.setenv("POLYRANK_ZOO", f"{tmp_path / 'zoo'}:{tiny_zoo}")
    result = polyrank("zoo", "list", *tiny)
    assert "skipped the module" in result.stderr and "squad" in result.stdout


def test_verify_exits_2_when_a_module_is_wrong(tiny, tiny_zoo, polyrank, tmp_path, monkeypatch):
    name = f"{tiny[1]}/language/adapter/ky"
    sound = polyrank("zoo", "verify", name)
    assert sound.exit_code == 0 and sound.stdout.startswith(f"ok\t{name}\t")
    copy = tmp_path / "zoo" / name
    shutil.copytree(tiny_zoo / name, copy)
    weights = bytearray((copy / "adapter.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "adapter.safetensors").write_bytes(weights)
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "zoo"))
    for arguments in ([], [name], [str(copy)]):
        wrong = polyrank("zoo", "verify", *arguments)
        assert wrong.exit_code == 2 and "was altered" in wrong.stdout
        assert "1 of" in wrong.stderr and "are wrong" in wrong.stderr
    rows = json.loads(polyrank("zoo", "verify", name, "--json").stdout)
    assert rows[0]["name"] == name and "was altered" in rows[0]["problem"]


def test_a_dry_run_prints_what_would_go(tiny, tiny_zoo, polyrank):
    name = f"{tiny[1]}/language/adapter/ky"
    result = polyrank("zoo", "push", name, "org/tiny-ky", "--dry-run")
    sizes = {path: int(size) for size, path in map(str.split, result.stdout.splitlines())}
    folder = tiny_zoo / name
    assert sizes["adapter.safetensors"] == (folder / "adapter.safetensors").stat().st_size
    assert {"polyrank.json", "README.md", "adapter_config.json"} <= set(sizes)
    assert "dry run: " in result.stderr


def test_the_index_is_written_and_checked(tiny, tiny_zoo, polyrank, tmp_path):
    name = f"{tiny[1]}/language/adapter/ky"
    shutil.copytree(tiny_zoo / name, tmp_path / name)
    stale = polyrank("zoo", "index", tmp_path, "--check")
    assert stale.exit_code == 2 and str(tmp_path / "index.json") in stale.stdout
    assert f"polyrank zoo index {tmp_path}" in stale.stderr
    assert polyrank("zoo", "index", tmp_path).exit_code == 0
    assert polyrank("zoo", "index", tmp_path, "--check").exit_code == 0


def test_what_is_not_pulled_or_not_there_is_said_without_a_traceback(polyrank, tiny, tmp_path):
    for arguments, message in (
        (("pull", "org/tiny-ky"), "HF_HUB_OFFLINE=1"),  # as all tests run
        (("pull", "squad"), "not a name of a module on the Hub"),
        (("remove", f"{tiny[1]}/language/adapter/ky"), "left alone"),
        (("remove", "org/tiny-ky"), "nothing to remove"),
        (("info", "org/tiny-ky"), "polyrank zoo pull org/tiny-ky"),
        (("list", "--where", "org"), "--source remote"),
        (("index", str(tmp_path)), "holds no modules"),
    ):
        result = polyrank("zoo", *arguments)
        assert result.exit_code == 2 and message in result.stderr, arguments


def test_a_list_by_source(tiny, polyrank, made_default_zoo, as_bundled):
    cached = polyrank("zoo", "list", "--source", "cached")
    assert cached.stdout == "" and "polyrank zoo pull --help" in cached.stderr
    lines = polyrank("zoo", "list", *tiny, "--source", "folder").stdout.splitlines()
    assert len(lines) == 8 and all(line.endswith("\tfolder") for line in lines)
    as_bundled(made_default_zoo)
    lines = polyrank("zoo", "list", "--source", "bundled").stdout.splitlines()
    assert {line.split("\t")[0] for line in lines} == {
        "/".join(card.parts[-5:-1]) for card in made_default_zoo.glob("*/*/*/*/polyrank.json")
    }
    assert lines and all(line.endswith("\tbundled") for line in lines)
