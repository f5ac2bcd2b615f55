"""In MTEB's own evaluation, over the tasks that it brings for such tests."""

import pytest

mteb = pytest.importorskip("mteb", reason="needs polyrank[mteb]")

from mteb.mocks.mock_tasks.reranking import MockMultilingualRerankingTask  # noqa: E402
from mteb.mocks.mock_tasks.retrieval import MockMultilingualRetrievalTask  # noqa: E402

from polyrank.index.lexical import BM25  # noqa: E402
from polyrank.neighbours.mteb import (  # noqa: E402
    PolyrankCrossEncoder,
    PolyrankSearch,
    languages_of,
)


def score(task, model, subset):
    """The main score that MTEB computes of a subset."""
    found = mteb.evaluate(model, task, cache=None, overwrite_strategy="always")
    (result,) = found.task_results
    (row,) = [one for one in result.scores["test"] if one["hf_subset"] == subset]
    return row["main_score"]


def test_a_cross_encoder_is_told_the_languages_of_each_subset(shortest):
    value = score(MockMultilingualRerankingTask(), PolyrankCrossEncoder(shortest), "fra")
    assert 0 <= value <= 1
    pairs = {(query.language, document.language) for query, document in shortest.pairs}
    assert pairs == {("en", "en"), ("fr", "fr")}


def test_a_search_reranks_what_a_reranking_task_gives(shortest):
    task = MockMultilingualRerankingTask()
    one = score(task, PolyrankCrossEncoder(shortest), "eng")
    assert score(task, PolyrankSearch(BM25, shortest), "eng") == one


def test_a_search_of_a_corpus():
    assert score(MockMultilingualRetrievalTask(), PolyrankSearch(BM25), "eng") > 0


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["swa-Latn"], ("sw", "sw")),
        (["kor-Hang", "eng-Latn"], ("ko", "en")),
        (["kor-Hang", "eng-Latn", "fra-Latn"], (None, None)),
        ([], (None, None)),
    ],
)
def test_languages_of_a_subset(named, expected):
    class Metadata:
        hf_subsets_to_langscripts = {"x": named}

    assert languages_of(Metadata, "x") == expected
    assert languages_of(Metadata, "x", {"x": ("tr", None)}) == ("tr", None)
