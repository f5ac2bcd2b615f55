"""polyrank demo, on the bundled queries with a tiny base."""


def test_table_test_and_passages(tiny, polyrank):
    result = polyrank(
        *("demo", *tiny, "--queries", "6", "--depth", "4", "--max-length", "48"),
        *("--query-language", "tr", "--document-language", "en"),
    )
    assert result.exit_code == 0, result.stderr
    for words in ("BM25", "dense first stage", "no language modules", "composition", "nDCG@10"):
        assert words in result.stdout
    assert "p = " in result.stdout
    assert "Before: dense first stage" in result.stdout and "After: composition" in result.stdout
