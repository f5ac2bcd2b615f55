"""polyrank zoo."""

import json


def test_list_and_info(tiny, tiny_zoo, polyrank):
    name = tiny[1]
    lines = polyrank("zoo", "list", *tiny).stdout.splitlines()
    assert f"{name}/ranking/adapter/squad\ten" in {line.rsplit("\t", 2)[0] for line in lines}
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
    assert "no module fits" in result.stderr


def test_a_broken_module_is_named(tiny, tiny_zoo, polyrank, tmp_path, monkeypatch):
    broken = tmp_path / "zoo" / tiny[1] / "language" / "adapter" / "xx"
    broken.mkdir(parents=True)
    (broken / "polyrank.json").write_text("{")
    monkeypatch.setenv("POLYRANK_ZOO", f"{tmp_path / 'zoo'}:{tiny_zoo}")
    result = polyrank("zoo", "list", *tiny)
    assert "skipped the module" in result.stderr and "squad" in result.stdout
