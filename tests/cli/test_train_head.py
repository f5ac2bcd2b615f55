"""polyrank train head and train language over a base without a head, as a user would run them."""

from __future__ import annotations

import shutil


def test_a_head_is_asked_for_trained_and_found(polyrank, tiny_bert, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_bert, "tiny")
    (tmp_path / "de.txt").write_text("wasser ist nass\neis schmilzt im jahr\n" * 9)
    (tmp_path / "de.tsv").write_text("de\twasser ist nass\twater is wet\n" * 20)
    sizes = ("--steps", "1", "--batch-size", "2", "--length", "16")
    language = ("train", "language", "--base", "./tiny", "--language", "de", *sizes)
    refused = polyrank(*language, "--text", "de.txt", "--output", "de")
    assert refused.exit_code == 2 and "polyrank train head --base tiny" in refused.stderr

    head = ("train", "head", "--base", "./tiny", "--text", "de.txt", *sizes)
    result = polyrank(*head, "--output", "zoo/tiny/head")
    assert result.exit_code == 0 and "found where POLYRANK_ZOO=zoo is set" in result.stderr
    monkeypatch.setenv("POLYRANK_ZOO", "zoo")
    result = polyrank(*language, "--text", "de.txt", "--parallel", "de.tsv", "--output", "one/de")
    assert result.exit_code == 0 and "accuracy to English after" in result.stderr
    aligned = ("--parallel", "de.tsv", "--loss", "align", "--start", "one/de", "--output", "two/de")
    assert polyrank(*language, *aligned).exit_code == 0
    assert all(line.startswith("polyrank: ") for line in result.stderr.splitlines())
    assert [record for record in caplog.records if record.name.startswith("adapters")] == []


def test_start_is_of_adapters_alone(polyrank, tmp_path):
    command = ("train", "language", "--language", "de", "--text", "absent.txt", "--kind", "mask")
    result = polyrank(*command, "--start", "many", "--output", tmp_path / "de")
    assert result.exit_code == 2 and "--start would be ignored with --kind mask" in result.stderr


def test_the_losses_of_language_modules_are_listed(polyrank):
    rows = [line.split("\t") for line in polyrank("train", "losses").stdout.splitlines()]
    assert all(len(row) == 4 for row in rows)
    assert {row[1] for row in rows} == {"labels", "teacher", "text", "pairs"}
