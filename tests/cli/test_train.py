"""polyrank train: options that the kind has no use for are refused, not ignored."""

from pathlib import Path

import pytest

LANGUAGE = ("language", "--language", "ky", "--text", "absent.txt")
LATE = ("late-interaction", "--queries", "absent.jsonl", "--passages", "absent.jsonl")
RANKING = ("ranking", "--queries", "absent.jsonl", "--passages", "absent.jsonl")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((*LANGUAGE, "--k", "500"), "--k would be ignored with --kind adapter"),
        ((*LANGUAGE, "--move-norms", "--l1", "1"), "--l1, --freeze-norms would be ignored"),
        ((*RANKING, "--full-steps", "9"), "--full-steps would be ignored with --kind adapter"),
        ((*RANKING, "--half"), "--half would be ignored with --kind adapter"),
        ((*RANKING, "--kind", "full", "--over", "en"), "--over would be ignored with --kind full"),
        (
            (*RANKING, "--kind", "mask", "--k", "9", "--reduction", "4"),
            "--reduction would be ignored with --kind mask and --k",
        ),
        ((*LATE, "--full-steps", "9"), "--full-steps would be ignored with --kind adapter"),
        (
            (*LATE, "--recipe", "colbert-xm", "--reduction", "4", "--k", "9"),
            "--k, --reduction would be ignored with --recipe colbert-xm",
        ),
        (
            (*LATE, "--recipe", "colbert-xm", "--kind", "mask"),
            "the recipe 'colbert-xm' trains full, not 'mask'",
        ),
    ],
)
def test_an_option_without_use_is_refused(polyrank, tmp_path, options, message):
    result = polyrank("train", *options, "--output", tmp_path / "m")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_an_option_of_the_kind_is_not(polyrank, tmp_path):
    arguments = (*LANGUAGE, "--kind", "mask", "--k", "9", "--iterations", "2")
    result = polyrank("train", *arguments, "--output", tmp_path / "m")
    assert result.exit_code == 2 and "absent.txt" in result.stderr  # it got as far as the text


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("m/sw", "must stand as tiny/language/adapter/sw in a folder of $POLYRANK_ZOO"),
        ("zoo/tiny/language/adapter/sw", "it is found where POLYRANK_ZOO=zoo is set"),
    ],
)
def test_a_trained_module_says_how_it_is_found(tmp_path, monkeypatch, place, words):
    from polyrank.cli.train.output import how_to_use

    from polyrank.base import Fingerprint
    from polyrank.modules.card import ModuleCard

    monkeypatch.chdir(tmp_path)
    card = ModuleCard("language", "adapter", "sw", "sw", "tiny", Fingerprint("0" * 16, "1" * 16))
    assert words in how_to_use(Path(place), card)


def test_training_prints_nothing_of_the_libraries(polyrank, default_zoo, tmp_path, caplog):
    (tmp_path / "tk.txt").write_text("Suw gaýnaýar.\nDerýa uzyn.\n" * 9)
    command = ("train", "language", "--language", "tk", "--text", tmp_path / "tk.txt")
    result = polyrank(*command, "--steps", "1", "--batch-size", "2", "--output", tmp_path / "tk")
    assert result.exit_code == 0
    assert all(line.startswith("polyrank: ") for line in result.stderr.splitlines())
    assert [record for record in caplog.records if record.name.startswith("adapters")] == []
