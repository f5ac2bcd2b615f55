"""polyrank demo, on bundled questions with a tiny base."""

from dataclasses import replace

from polyrank.cli.demo import pooled

from polyrank.collections.load import load_collection


def test_table_test_and_passages(default_zoo, polyrank):
    result = polyrank(
        *("demo", "--queries", "4", "--depth", "4", "--pool", "8", "--max-length", "48"),
        *("--collection", "xquad", "--query-language", "tr", "--document-language", "en"),
    )
    assert result.exit_code == 0, result.stderr
    for words in ("BM25", "the base alone", "with language modules", "composition", "nDCG@10"):
        assert words in result.stdout
    assert "p = " in result.stdout
    assert "Before: dense" in result.stdout and "After: composition" in result.stdout


def test_the_pool_has_what_is_relevant_and_others_up_to_a_number():
    texts = load_collection("xquad", queries="tr", documents="en", limit=3)
    texts = replace(texts, qrels=[j for j in texts.qrels if j.query_id in texts.queries])
    relevant = {judgement.document_id for judgement in texts.relevant()}
    assert relevant < set(pooled(texts, 20).documents) and len(pooled(texts, 20).documents) == 20
    assert set(pooled(texts, 1).documents) == relevant
