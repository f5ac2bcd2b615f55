import gzip

import pytest

import polyrank as pr
from polyrank.errors import DataError, UsageError

LINES = [
    " water boils at last ",
    "water boils at last",
    "",
    "no no no no no no no no",
    "Water boils at LAST",
    "суу суу",
    "stones of iron",
]
SKIP = ["language"]


@pytest.fixture
def base(tiny_bert):
    return str(tiny_bert)


def test_each_line_goes_by_the_first_rule_that_it_breaks(base, write, tmp_path):
    output, rejected = tmp_path / "clean.txt", tmp_path / "removed.tsv"
    cleaned = pr.clean_corpus(write("en.txt", LINES), output, base, skip=SKIP, rejected=rejected)
    assert output.read_text() == "water boils at last\nstones of iron\n"
    assert [line.split("\t") for line in rejected.read_text().splitlines()] == [
        ["2", "duplicate", "of line 1", "water boils at last"],
        ["4", "repetition", "0.84 of it repeats", "no no no no no no no no"],  # 16 of 19
        ["5", "near-duplicate", "of line 1, 1.00", "Water boils at LAST"],
        ["6", "unknown", "2 of 2 pieces unknown", "суу суу"],
    ]
    assert (cleaned.lines, cleaned.blank, cleaned.kept) == (7, 1, 2)
    assert cleaned.lines == cleaned.blank + cleaned.kept + cleaned.removed.total()


def test_a_removed_line_is_no_model_for_near_duplicates(base, write, tmp_path):
    long = "water boils at last " * 2 + "and " * 3
    lines = [long, "water boils at last and some stones", "Water boils at last and stones"]
    limits = pr.Thresholds(longest=40, similarity=0.3)
    pr.clean_corpus(write("en.txt", lines), tmp_path / "o", base, limits, SKIP)
    assert (tmp_path / "o").read_text().splitlines() == lines[1:2]


@pytest.mark.parametrize("rule", ["duplicate", "repetition", "near-duplicate", "unknown"])
def test_a_rule_that_is_skipped_removes_nothing(rule, base, write, tmp_path):
    path = write("en.txt", LINES)
    cleaned = pr.clean_corpus(path, tmp_path / "o", base, skip=[*SKIP, rule])
    assert rule not in cleaned.removed
    assert cleaned.lines == cleaned.blank + cleaned.kept + cleaned.removed.total()


def test_without_rules_only_blank_lines_go(base, write, tmp_path):
    from polyrank.corpus.rules import RULES

    pr.clean_corpus(write("en.txt", LINES), tmp_path / "o", "no base is read", skip=RULES)
    assert (tmp_path / "o").read_text() == "".join(f"{x.strip()}\n" for x in LINES if x)


def test_what_was_cleaned_is_clean(base, write, tmp_path):
    path = write("en.txt", [f"{word} {n}" for word in ("water", "iron", "salt") for n in range(40)])
    limits = pr.Thresholds(shortest=1, longest=99)
    skip = [*SKIP, "unknown"]  # digits
    once = pr.clean_corpus(path, tmp_path / "en.1.txt", base, limits, skip)
    twice = pr.clean_corpus(tmp_path / "en.1.txt", tmp_path / "en.2.txt", base, limits, skip)
    assert once.kept == twice.kept == twice.lines == 3
    assert (tmp_path / "en.1.txt").read_bytes() == (tmp_path / "en.2.txt").read_bytes()


def test_gzip_in_and_out_with_the_same_bytes(base, write, tmp_path):
    path = write("en.txt.gz", LINES)
    for name in ("a.gz", "b.gz"):
        pr.clean_corpus(path, tmp_path / name, base, skip=SKIP)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (
        gzip.decompress((tmp_path / "a.gz").read_bytes())
        == b"water boils at last\nstones of iron\n"
    )


def test_a_broken_file_leaves_what_was_there(base, tmp_path):
    (tmp_path / "en.txt").write_bytes(b"water\ncaf\xe9\n")
    (tmp_path / "o").write_text("before")
    with pytest.raises(DataError, match=r"en.txt:2: not UTF-8"):
        pr.clean_corpus(tmp_path / "en.txt", tmp_path / "o", base, skip=SKIP)
    assert (tmp_path / "o").read_text() == "before"


def test_outputs_that_would_overwrite(base, write, tmp_path):
    path = write("en.txt", LINES)
    with pytest.raises(UsageError, match="is read, and would be overwritten"):
        pr.clean_corpus(path, path, base)
    with pytest.raises(UsageError, match="is read, and would be overwritten"):
        pr.clean_corpus(path, tmp_path / "o", base, rejected=path)
    with pytest.raises(UsageError, match="for the kept and for the removed lines"):
        pr.clean_corpus(path, tmp_path / "o", base, rejected=tmp_path / "." / "o")
