"""polyrank search."""

import json

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
