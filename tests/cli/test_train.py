"""polyrank train: options that the kind has no use for are refused, not ignored."""

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
