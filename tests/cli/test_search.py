"""polyrank search."""

import json

import pytest

from polyrank.collections import load_collection
from polyrank.collections.trec import read_run


def test_the_dense_first_stage_alone(tiny, source, polyrank, tmp_path):
    result = polyrank(
        "search", *source, *tiny, "--depth", "3", "--no-rerank", "--output", tmp_path / "run.trec"
    )
    assert result.exit_code == 0 and result.stdout == ""
    run = read_run(tmp_path / "run.trec")
    assert {len(hits) for hits in run.values()} == {3} and len(run) == 6


def test_bm25_needs_no_base(source, polyrank):
    result = polyrank(
        *("search", *source, "--first-stage", "bm25", "--no-rerank", "--json", "--limit", "2"),
        *("--base", "there-is-no-such-base", "--top", "1"),
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["query_id"] for row in rows] == ["q0", "q1"]
    assert [row["hits"][0]["document_id"] for row in rows] == ["d0", "d1"]
    assert rows[0]["hits"][0]["language"] == "en"


def test_one_query_over_a_bundled_collection_in_another_language(polyrank):
    result = polyrank(
        *("search", "--collection", "ntrex", "--document-language", "en", "--query-language", "so"),
        *("--query", "London police", "--first-stage", "bm25", "--no-rerank", "--top", "2"),
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "London police [so]"
    assert len(result.stdout.splitlines()) == 3
    ids = load_collection("ntrex", queries="en", documents="en").documents
    assert all(line.split()[3] in ids for line in result.stdout.splitlines()[1:])
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_reranked(tiny, source, polyrank):
    plain = polyrank("search", *source, *tiny, "--no-rerank", "--json", "--depth", "4")
    reranked = polyrank("search", *source, *tiny, "--json", "--depth", "4", "--top", "4")
    for before, after in zip(plain.stdout.splitlines(), reranked.stdout.splitlines(), strict=True):
        first, second = (
            {hit["document_id"]: hit["score"] for hit in json.loads(line)["hits"]}
            for line in (before, after)
        )
        assert set(first) == set(second) and first != second


def test_fused_finds_what_either_finds(tiny, source, polyrank, tmp_path):
    def searched(stage):
        output = tmp_path / f"{stage}.trec"
        result = polyrank(
            *("search", *source, *tiny, "--first-stage", stage, "--no-rerank", "--depth", "6"),
            *("--output", output),
        )
        assert result.exit_code == 0
        assert ("BM25(6 documents: en stems (english) 6)" in result.stderr) == (stage != "dense")
        return read_run(output)

    bm25, dense, fused = (searched(stage) for stage in ("bm25", "dense", "fused"))
    # "night birds" is in d5 and, longer, in d4; where no word matches, BM25 has no say.
    assert [(hit.document_id, hit.score > 0) for hit in bm25["q4"]][:3] == [
        *(("d5", True), ("d4", True)),
        ("d0", False),
    ]
    lexical = {"d5": 1 / 61, "d4": 1 / 62}
    expected = {
        hit.document_id: lexical.get(hit.document_id, 0) + 1 / (60 + rank)
        for rank, hit in enumerate(dense["q4"], start=1)
    }
    assert {hit.document_id: hit.score for hit in fused["q4"]} == pytest.approx(expected)


def test_the_analysis_of_bm25(source, polyrank):
    result = polyrank(
        *("search", *source, "--first-stage", "bm25", "--no-rerank", "--analysis", "words"),
        *("--limit", "1"),
    )
    assert "BM25(6 documents: any language words 6)" in result.stderr


@pytest.fixture
def model(tiny_folder, tmp_path):
    """Folder of a random cross-encoder of one logit."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = AutoConfig.from_pretrained(tiny_folder, num_labels=1)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_reranked_by_a_model_of_its_own(model, tiny, source, polyrank):
    from polyrank.rerankers.cross_encoder import CrossEncoder

    result = polyrank(
        *("search", *source, *tiny, "--model", model, "--depth", "3", "--top", "3", "--json"),
        *("--limit", "1"),
    )
    assert result.exit_code == 0, result.stderr
    (row,) = map(json.loads, result.stdout.splitlines())
    (wanted,) = CrossEncoder(model).rank("water boils", ["water boils and stone"])
    scores = {hit["document_id"]: hit["score"] for hit in row["hits"]}
    assert len(scores) == 3 and scores["d0"] == pytest.approx(wanted.score, abs=1e-5)


def test_a_typed_query_needs_no_judgements(polyrank, tmp_path):
    """BEIR's folders judge documents that they lack; a question of one's own has no judgements."""
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "water", "language": "fr"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "eau", "language": "en"}\n')
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tabsent\t1\n")
    found = polyrank(
        *("search", "--collection", tmp_path, "--query", "water", "--document-language", "fr"),
        *("--query-language", "en", "--first-stage", "bm25", "--no-rerank", "--json"),
    )
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["hits"][0]["document_id"] == "d"


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--no-rerank"], "leave out --no-rerank"), (["--kind", "mask"], "--kind")],
)
def test_what_a_model_makes_pointless_is_refused(options, message, model, tiny, source, polyrank):
    result = polyrank("search", *source, *tiny, "--model", model, *options)
    assert result.exit_code == 2 and message in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "run.trec"], "'a 1' is empty or has whitespace"),
        (["--model", "folder"], "leave out --no-rerank"),
        (["--ray", "local"], "leave out --no-rerank"),
        (["--routing", "none"], "--routing would do nothing with --no-rerank"),
        (["--output", "run.jsonl", "--json"], "--json would do nothing with --output"),
    ],
)
def test_what_cannot_end_well_is_refused_before_the_search(
    options, message, polyrank, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "polyrank.cli.first_stages.search_first", lambda *_: pytest.fail("searched")
    )
    (tmp_path / "d.jsonl").write_text('{"_id": "a 1", "text": "water", "language": "en"}\n')
    result = polyrank(
        *("search", "--documents", "d.jsonl", "--query", "water", "--query-language", "en"),
        *("--no-rerank", *options),
    )
    assert result.exit_code == 2 and message in result.stderr
    assert not (tmp_path / "run.trec").exists()


@pytest.mark.parametrize("verb", [["search"], ["rerank", "--first-stage", "bm25"]])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ranking", "nowhere"], "there is no ranking adapter 'nowhere'"),
        (["--query-language", "az"], "there is no language adapter for 'az'"),
        (["--document-language", "az"], "there is no language adapter for 'az'"),
        (["--model", "nowhere/at/all"], "cannot be read"),
    ],
)
def test_what_cannot_be_reranked_is_refused_before_the_search(
    verb, options, message, tiny, files, polyrank, monkeypatch
):
    monkeypatch.setattr(
        "polyrank.cli.first_stages.search_first", lambda *_: pytest.fail("searched")
    )
    queries = files / "queries.jsonl"
    queries.write_text(queries.read_text().replace(', "language": "tr"', ""))
    result = polyrank(
        *(*verb, "--queries", queries, "--documents", files / "documents.tsv", *tiny),
        *("--document-language", "en", "--query-language", "tr"),
        *("--output", files / "out.trec", *options),
    )
    assert result.exit_code == 2 and message in result.stderr
    assert not (files / "out.trec").exists()


def test_a_language_that_contradicts_the_file_is_told(files, polyrank):
    (files / "own.jsonl").write_text(
        '{"_id": "d0", "text": "water boils"}\n{"_id": "d1", "text": "river", "language": "tr"}\n'
    )
    asked = ("--query", "water", "--documents", files / "own.jsonl", "--document-language", "en")
    result = polyrank("search", *asked, "--first-stage", "bm25", "--no-rerank")
    assert result.exit_code == 0
    told = "1 of 2 documents name another language than --document-language en (the first: 'd1' is"
    assert told in result.stderr
    agreed = polyrank("search", *asked[:-1], "tr", "--first-stage", "bm25", "--no-rerank")
    assert "name another language" not in agreed.stderr


def test_a_query_that_matches_nothing_says_so_and_lists_nothing(source, polyrank):
    asked = ("--query", "zebra", *source[2:], "--first-stage", "bm25", "--no-rerank")
    result = polyrank("search", *asked)
    assert "no document shares a word with a query" in result.stderr
    assert result.stdout.strip() == "zebra"
