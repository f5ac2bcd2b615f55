"""polyrank evaluate."""

import json

import pytest


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "a.trec").write_text("q1 Q0 d1 1 2 x\nq1 Q0 d2 2 1 x\nq2 Q0 d2 1 2 x\n")
    (tmp_path / "b.trec").write_text("q1 Q0 d2 1 2 x\nq1 Q0 d1 2 1 x\nq2 Q0 d2 1 2 x\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    return tmp_path


def test_values_by_hand(runs, polyrank):
    result = polyrank("evaluate", runs / "b.trec", runs / "qrels", "--measures", "RR, P@1")
    assert result.exit_code == 0 and result.stderr == ""
    rows = dict(line.split() for line in result.stdout.splitlines()[1:3])
    assert rows == {"RR": "0.7500", "P@1": "0.5000"}  # (1/2 + 1) / 2 and (0 + 1) / 2


def test_json_with_a_baseline(runs, polyrank):
    result = polyrank(
        *("evaluate", runs / "a.trec", runs / "qrels", "--baseline", runs / "b.trec"),
        *("--measures", "RR", "--json"),
    )
    report = json.loads(result.stdout)
    assert report["mean"] == {"RR": 1.0}
    assert report["comparison"]["RR"]["difference"] == 0.25
    assert report["comparison"]["RR"]["better"] == 1
    assert 0 < report["comparison"]["RR"]["p_value"] <= 1


def test_the_judgements_of_a_collection(runs, polyrank, tmp_path):
    polyrank(
        *("search", "--collection", "xquad", "--query-language", "de"),
        *("--document-language", "de", "--limit", "30", "--first-stage", "bm25"),
        *("--no-rerank", "--output", tmp_path / "bm25.jsonl"),
    )
    result = polyrank(
        "evaluate", tmp_path / "bm25.jsonl", "--collection", "xquad", "--measures", "RR", "--json"
    )
    report = json.loads(result.stdout)
    assert len(report["missing"]) == 1190 - 30
    assert report["mean"]["RR"] * 1190 / 30 > 0.5  # German questions over German passages


MIXED = {  # a group of two passages; the query is Turkish
    "queries.jsonl": '{"_id": "q1", "text": "su", "language": "tr"}\n',
    "documents.jsonl": "".join(
        f'{{"_id": "{g}.{tag}", "text": "x", "language": "{tag}", "group": "{g}"}}\n'
        for g in "ab"
        for tag in ("en", "tr")
    ),
    "qrels": "q1 0 a.en 1\n",  # the translation is judged by nobody
    "run.trec": "q1 Q0 a.en 1 3 x\nq1 Q0 a.tr 2 2 x\nq1 Q0 b.tr 3 1 x\n",
}


@pytest.fixture
def mixed(tmp_path):
    for name, text in MIXED.items():
        (tmp_path / name).write_text(text)
    given = ["--queries", tmp_path / "queries.jsonl", "--documents", tmp_path / "documents.jsonl"]
    return [tmp_path / "run.trec", tmp_path / "qrels", *given]


def test_language_aware_measures_of_own_data(mixed, polyrank):
    names = "SemnDCG@10,LPR,LangnDCG(same=2,other=1)@10,FourWay"
    result = polyrank("evaluate", *mixed, "--measures", names, "--json")
    mean = json.loads(result.stdout)["mean"]
    assert (mean["SemnDCG@10"], mean["LPR"]) == (1.0, 0.0)
    # (1 + 2 / log2 3) / (2 + 1 / log2 3)
    assert mean["LangnDCG(same=2,other=1)@10"] == pytest.approx(0.8597, abs=1e-4)
    assert mean["RightOther"] == 1.0


def test_by_pair_and_every_query(mixed, polyrank, tmp_path):
    values = tmp_path / "values.tsv"
    (tmp_path / "qrels").write_text("q1 0 a.en 1\nq1 0 b.tr 1\n")
    options = ["--measures", "RR", "--by", "pair", "--per-query", values]
    result = polyrank("evaluate", *mixed, *options)
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()[:3]]
    assert rows == [
        ["query→documents", "queries", "RR"],
        ["tr→en", "1", "1.0000"],
        ["tr→tr", "1", "0.5000"],
    ]
    assert "gap 0.5000" in result.stdout
    assert values.read_text().splitlines()[1:] == ["tr\ten\tq1\tRR\t1.0", "tr\ttr\tq1\tRR\t0.5"]


def test_the_view_of_a_bundled_collection_is_found_by_its_ids(polyrank, tmp_path):
    run = tmp_path / "run.trec"
    run.write_text("bbc.381790 Q0 bbc.381790.ky 1 2 x\nbbc.381790 Q0 bbc.381790.en 2 1 x\n")
    options = ["--collection", "ntrex", "--measures", "LPR", "--json"]
    result = polyrank("evaluate", run, *options, "--query-language", "ky")
    assert json.loads(result.stdout)["mean"] == {"LPR": 1.0}
    assert "queries in ky, documents in all languages" in result.stderr
    unknown = polyrank("evaluate", run, *options)
    assert unknown.exit_code == 2 and "--query-language TAG" in unknown.stderr
    run.write_text("x Q0 y 1 2 x\n")
    other = polyrank("evaluate", run, *options)
    assert other.exit_code == 2 and "are not those of ntrex" in other.stderr


def test_against_the_same_topics_in_english(polyrank, tmp_path):
    run = tmp_path / "run.trec"
    run.write_text(
        "bbc.381790.ky Q0 bbc.381790 1 1 x\n"
        "bbc.381790.en Q0 x 1 2 x\nbbc.381790.en Q0 bbc.381790 2 1 x\n"
    )
    options = ["--collection", "ntrex", "--document-language", "en", "--missing", "intersect"]
    options += ["--measures", "RR", "--by", "query-language", "--against-language", "en"]
    lines = polyrank("evaluate", run, *options).stdout.splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["en", "1", "0.5000", "–"],
        ["ky", "1", "1.0000", "+0.5000"],
    ]


@pytest.fixture
def asked(tmp_path):
    """Four queries of ky, of which two are translated, and one of en."""
    ids = {"a": "ky", "b": "ky", "c": "ky", "d": "ky", "e": "en"}
    rows = (f'{{"_id": "{i}", "text": "x", "language": "{tag}"}}\n' for i, tag in ids.items())
    (tmp_path / "queries.jsonl").write_text("".join(rows))
    (tmp_path / "qrels").write_text("".join(f"{i} 0 d 1\n" for i in ids))
    ranks = {"a": 1, "b": 2, "c": 2, "d": 4, "e": 1}
    (tmp_path / "run.trec").write_text(
        "".join(
            f"{i} Q0 {'d' if r == ranks[i] else f'x{r}'} {r} {9 - r} x\n"
            for i in ids
            for r in range(1, ranks[i] + 1)
        )
    )
    (tmp_path / "translated.txt").write_text("c\nd\nz\n")
    options = ["--queries", tmp_path / "queries.jsonl", "--measures", "RR"]
    return [tmp_path / "run.trec", tmp_path / "qrels", *options, "--by", "query-language"], tmp_path


def test_written_against_translated_by_hand(asked, polyrank):
    options, folder = asked
    result = polyrank("evaluate", *options, "--translated", folder / "translated.txt")
    assert [line.split() for line in result.stdout.splitlines()[:3]] == [
        ["query-language", "queries", "RR", "written", "−", "translated"],
        ["en", "1", "1.0000", "–"],
        ["ky", "4", "0.5625", "+0.3750"],  # (1 + 1/2) / 2 - (1/2 + 1/4) / 2
    ]
    assert "1 of 3 ids" in result.stderr and "no difference for en" in result.stderr
    found = polyrank("evaluate", *options, "--translated", folder / "translated.txt", "--json")
    assert json.loads(found.stdout)["locality"] == {"RR": {"ky": 0.375}}


def test_translated_queries_need_others_beside_them(asked, polyrank):
    options, folder = asked
    (folder / "translated.txt").write_text("a\nb\nc\nd\n")
    result = polyrank("evaluate", *options, "--translated", folder / "translated.txt")
    assert result.exit_code == 2 and "no language has both" in result.stderr
    result = polyrank("evaluate", *options[:-1], "all", "--translated", folder / "translated.txt")
    assert result.exit_code == 2 and "goes with --by query-language" in result.stderr


@pytest.mark.parametrize("verb", ["evaluate", "compare"])
def test_a_split_of_a_collection(verb, polyrank, tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d", "text": "ice"}\n')
    (folder / "queries.jsonl").write_text(
        "".join(f'{{"_id": "{i}", "text": "ice"}}\n' for i in ("q-dev", "q-test"))
    )
    for split in ("dev", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text(
            f"query-id\tcorpus-id\tscore\nq-{split}\td\t1\n"
        )
    for name in ("one.trec", "two.trec"):
        (tmp_path / name).write_text("q-dev Q0 d 1 1 x\n")
    runs = [tmp_path / "one.trec", tmp_path / "two.trec"][: 2 if verb == "compare" else 1]
    options = ["--collection", folder, "--measures", "RR"]
    found = polyrank(verb, *runs, *options, "--split", "dev")
    assert found.exit_code == 0 and "1.0000" in found.stdout
    other = polyrank(verb, *runs, *options)
    assert other.exit_code == 2 and "q-test" in other.stderr
    alone = polyrank(verb, *runs, "--split", "dev", *options[2:])
    assert alone.exit_code == 2 and "give the judgements" in alone.stderr
