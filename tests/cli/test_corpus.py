"""polyrank corpus report, clean and mix."""

import json

import pytest


@pytest.fixture
def text(tmp_path):
    lines = ["water boils", "", "water boils", "stones of iron", "Water boils"]
    (tmp_path / "en.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "sw.txt").write_text("maji\n")
    return tmp_path


def test_report_prints_a_row_for_each_file(tiny, text, polyrank):
    files = [text / "en.txt", text / "sw.txt"]
    result = polyrank("corpus", "report", *files, *tiny, "--skip", "language")
    assert result.exit_code == 0
    header, english, swahili = (line.split() for line in result.stdout.splitlines())
    assert header[:3] == ["file", "language", "lines"]
    # lines, characters, tokens a word, unknown pieces, then the rules in order
    assert english[1:4] == ["en", "4", "47"]
    assert english[6:] == ["25.00%", "0.00%", "0.00%", "0.00%", "–", "25.00%"]
    assert swahili[1:4] == ["sw", "1", "4"]
    assert "1 blank lines are not counted" in result.stderr


def test_report_as_json(tiny, text, polyrank):
    result = polyrank("corpus", "report", f"en={text / 'en.txt'}", *tiny, "--json")
    (row,) = json.loads(result.stdout)
    assert (row["language"], row["lines"], row["blank"]) == ("en", 4, 1)
    assert row["faults"]["duplicate"] == row["faults"]["near-duplicate"] == 1


def test_clean_writes_what_is_left_and_what_is_removed(tiny, text, polyrank):
    outputs = ["--output", text / "clean.txt", "--rejected", text / "removed.tsv"]
    result = polyrank("corpus", "clean", text / "en.txt", *outputs, *tiny, "--similarity", "0.9")
    assert result.exit_code == 0
    assert (text / "clean.txt").read_text() == "water boils\nstones of iron\n"
    assert (text / "removed.tsv").read_text() == (
        "3\tduplicate\tof line 1\twater boils\n5\tnear-duplicate\tof line 1, 1.00\tWater boils\n"
    )
    counts = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()}
    assert counts == {
        **{"lines": "5", "blank": "1", "duplicate": "1", "length": "0", "repetition": "0"},
        **{"unknown": "0", "language": "0", "near-duplicate": "1", "kept": "2"},
    }


def test_clean_to_standard_output_counts_on_stderr(tiny, text, polyrank):
    result = polyrank("corpus", "clean", text / "en.txt", "--output", "-", *tiny, "--json")
    assert result.stdout == "water boils\nstones of iron\n"
    assert json.loads(result.stderr)["kept"] == 2


def test_clean_that_keeps_nothing_fails(tiny, text, polyrank):
    arguments = ["--output", text / "o", "--longest", "3", *tiny]
    result = polyrank("corpus", "clean", text / "en.txt", *arguments)
    assert result.exit_code == 2
    assert "no line of" in result.stderr and "was kept" in result.stderr


def test_clean_says_when_a_rule_takes_most_lines(tiny, text, polyrank):
    (text / "ky.txt").write_text("water\n" + "суу\nмуз\nтоо\n")
    result = polyrank("corpus", "clean", text / "ky.txt", "--output", text / "o", *tiny)
    assert result.exit_code == 0
    assert "the base lacks the pieces for most lines" in result.stderr
    assert "'--skip unknown' leaves it out" in result.stderr


def test_mix_prints_shares_before_and_after(text, polyrank):
    files = [text / "en.txt", text / "sw.txt"]
    arguments = ["--lines", "6", "--alpha", "0", "--output", text / "m"]
    result = polyrank("corpus", "mix", *files, *arguments)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1:] == [
        ["en", "4", "80.00%", "3", "50.00%", "0.75"],
        ["sw", "1", "20.00%", "3", "50.00%", "3.00"],
        ["all", "5", "6"],
    ]
    assert (text / "m").read_text().splitlines().count("maji") == 3


def test_mix_says_which_languages_got_nothing(text, polyrank):
    files = [text / "en.txt", text / "sw.txt"]
    arguments = ["--lines", "1", "--alpha", "1", "--output", text / "m", "--json"]
    result = polyrank("corpus", "mix", *files, *arguments)
    assert json.loads(result.stdout)["parts"][1]["taken"] == 0
    assert "the budget is too small for even one line of sw" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "absent/en.txt"], "absent/en.txt: file not found"),
        (["report", "rows.txt"], "rows.txt has no language in its name"),
        (["report", "en=bad.txt"], "bad.txt:2: not UTF-8"),
        (["report", "en=rows.txt"], "rows.txt:1: JSON, where plain text is expected"),
        (["clean", "en.txt", "--output", "en.txt"], "en.txt is read, and would be overwritten"),
        (
            ["clean", "en.txt", "--output", "o", "--shortest", "9", "--longest", "3"],
            "the shortest line is 9 characters and the longest 3",
        ),
        (["mix", "en.txt", "--output", "o"], "give one of --lines, --tokens; none was given"),
        (["mix", "en.txt", "eng=en.txt", "--output", "o", "--lines", "1"], "are both in en"),
    ],
)
def test_the_message_and_the_exit_code(arguments, message, text, polyrank, monkeypatch):
    monkeypatch.chdir(text)
    (text / "bad.txt").write_bytes(b"water\ncaf\xe9\n")
    (text / "rows.txt").write_text('{"text": "water"}\n')
    result = polyrank("corpus", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
