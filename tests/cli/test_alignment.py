"""polyrank alignment."""

import json


def test_pairs_of_ones_own(tiny, tmp_path, polyrank):
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "".join(f"en\t{t}\t{t}\nso\t{t}\tnot this\n" for t in ("water", "iron", "salt"))
    )
    result = polyrank("alignment", *tiny, "--pairs", path, "--json")
    assert result.exit_code == 0, result.stderr
    worst, best = json.loads(result.stdout)["languages"]
    assert (worst["language"], best["language"], best["pairs"]) == ("so", "en", 3)
    assert [layer["retrieval"] for layer in best["base"]] == [1.0] * len(best["base"])
    assert [layer["retrieval"] for layer in worst["base"]] == [0.0] * len(best["base"])


def test_what_is_refused(tiny, tmp_path, polyrank):
    path = tmp_path / "pairs.tsv"
    path.write_text("en\ta\tb\nen\ta\n")
    result = polyrank("alignment", *tiny, "--pairs", path)
    assert result.exit_code == 2 and "pairs.tsv:2: not three cells" in result.stderr
    result = polyrank("alignment", *tiny, "--languages", "la")
    assert result.exit_code == 2 and "NTREX is not bundled in la" in result.stderr
