import json

import pytest

import polyrank as pr
from polyrank.errors import DataError, ModuleError, UsageError

LINES = ["water boils", "", "water boils", "stones of iron", "ñandú"]


@pytest.fixture
def report(tiny_bert, write):
    def report_(lines, name="en.txt", **options):
        options = {"skip": ["language"], **options}
        return pr.corpus_report(write(name, lines), str(tiny_bert), **options)[0]

    return report_


def test_sums_by_hand(report):
    found = report(LINES)
    assert (found.lines, found.blank) == (4, 1)
    assert found.characters == 11 + 11 + 14 + 5
    assert found.words == 2 + 2 + 3 + 1
    assert found.tokens == 10 + 10 + 12 + 5  # a piece a letter; ñ and ú lose their accents
    assert found.unknown == 0
    assert found.tokens_per_word == 37 / 8
    assert found.lengths == {11: 2, 14: 1, 5: 1}


def test_unknown_pieces_by_hand(report):
    found = report(["суу ab", "ab"])  # a word that the vocabulary lacks is one unknown piece
    assert (found.tokens, found.unknown) == (5, 1)
    assert found.faults["unknown"] == 1  # 1 of 3 pieces, of which .1 may be unknown


def test_faults_by_hand(report):
    repeated = "no no no no no no no no"
    found = report([*LINES, repeated, "Water boils", "Stones of iron"])
    assert found.faults == {
        "duplicate": 1,  # line 3
        "length": 1,  # quartiles are 11 and 14; 5 is under 11 · (11/14)³ = 5.3
        "repetition": 1,
        "unknown": 0,
        "near-duplicate": 2,  # those that differ in case
    }
    assert found.share("duplicate") == 1 / 7
    assert found.share("language") is None


def test_length_outliers_follow_the_file_or_the_thresholds(report):
    lines = ["a" * n for n in (10, 20, 40, 80, 5000)]  # Q1 20, Q3 80: fences at 1.25 and 1280
    skip = ["language", "repetition", "near-duplicate"]
    limits = pr.Thresholds(reach=2)
    assert report(lines, skip=skip, thresholds=limits).faults["length"] == 1
    limits = pr.Thresholds(shortest=20, longest=40)
    assert report(lines, skip=skip, thresholds=limits).faults["length"] == 3


def test_words_are_not_counted_where_no_space_parts_them(report):
    assert report(["水沸騰"], name="zh.txt").tokens_per_word is None


def test_another_language_is_seen(report):
    german = "Der Siedepunkt von Wasser liegt auf Meereshöhe bei hundert Grad."
    english = "The boiling point of water at sea level is one hundred degrees."
    found = report([english, german, "Tut mir leid."], skip=[])
    assert found.faults["language"] == 1  # the third is too short to be judged
    assert found.foreign["de"] == 1


def test_it_can_be_written_as_json(report):
    row = json.loads(json.dumps(report(LINES, skip=[]).to_dict()))
    assert row["language"] == "en" and row["lines"] == 4
    assert row["length_quartiles"] == [5, 11, 11]
    assert row["fault_shares"]["duplicate"] == 0.25


def test_several_files_keep_their_order(write, tiny_bert):
    files = [write("sw.txt", ["maji"]), write("en.txt", ["water"])]
    assert [one.language for one in pr.corpus_report(files, str(tiny_bert))] == ["sw", "en"]


def test_what_cannot_be_done(write, tiny_bert, tmp_path):
    path = write("en.txt", ["water"])
    with pytest.raises(DataError, match="no such file"):
        pr.corpus_report(tmp_path / "ky.txt", str(tiny_bert))
    with pytest.raises(UsageError, match="there is no rule 'lenght'"):
        pr.corpus_report(path, str(tiny_bert), skip=["lenght"])
    with pytest.raises(ModuleError, match="is not a base"):
        pr.corpus_report(path, str(tmp_path))


@pytest.mark.parametrize(
    "values",
    [{"repetition": 1.5}, {"similarity": 0}, {"reach": -1}, {"shortest": 9, "longest": 3}],
)
def test_thresholds_out_of_range(values):
    with pytest.raises(UsageError):
        pr.Thresholds(**values)
