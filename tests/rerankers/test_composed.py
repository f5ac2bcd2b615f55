"""A reranker from a saved composition scores as the one that plans for itself."""

import pytest

from polyrank import Reranker
from polyrank.collections.records import Document, Query
from polyrank.composition.plan import compose
from polyrank.composition.saved import save_composition, saved
from polyrank.errors import CompositionError
from polyrank.rerankers.composed import ComposedReranker

TEXTS = ["water boils", "old iron", "a long river", "x"]


@pytest.fixture
def plan(tiny_base, tiny_zoo):
    def make(*languages, routing="split", **options):
        return compose(tiny_base, "squad", *languages, routing=routing, zoo=tiny_zoo, **options)

    return make


@pytest.mark.parametrize("routing", ["none", "query", "document", "split"])
def test_it_scores_as_planned(plan, tiny_base, tiny_zoo, tiny_folder, tmp_path, routing):
    kept = plan("ky", "tr", routing=routing)
    save_composition(kept, tmp_path / "plan.json", str(tiny_folder), tiny_zoo)
    composed = ComposedReranker(tmp_path / "plan.json", zoo=tiny_zoo)
    whole = Reranker(tiny_base, ranking="squad", routing=routing, zoo=tiny_zoo)
    assert composed.rank("river", TEXTS) == whole.rank("river", TEXTS, "ky", "tr")
    assert not any("identified" in note for note in composed.notes)


def test_another_language_is_refused_where_a_module_would_see_it(plan, tiny_base, tiny_zoo):
    split = ComposedReranker(saved(plan("ky", "tr"), zoo=tiny_zoo), tiny_base, tiny_zoo)
    with pytest.raises(CompositionError, match="for queries in 'ky', but one is in 'en'"):
        split.score([(Query("q", "river", "en"), Document("d", "iron"))])
    with pytest.raises(CompositionError, match="for documents in 'tr', but one is in 'ky'"):
        split.score([(Query("q", "river"), Document("d", "iron", language="kir"))])
    document = ComposedReranker(
        saved(plan("ky", "tr", routing="document"), zoo=tiny_zoo), tiny_base, tiny_zoo
    )
    assert len(document.score([(Query("q", "river", "en"), Document("d", "iron"))])) == 1


def test_a_fallback_that_was_planned_is_kept(plan, tiny_base, tiny_zoo):
    kept = plan("kk", "en", fallback="related")
    composed = ComposedReranker(saved(kept, zoo=tiny_zoo), tiny_base, tiny_zoo)
    whole = Reranker(tiny_base, ranking="squad", zoo=tiny_zoo)
    expected = whole.rank("river", TEXTS, kept.query_module, "en")
    assert composed.rank("river", TEXTS) == expected
    assert any("nearest relative" in note for note in composed.notes)


def test_without_a_ranking_module_nothing_can_be_scored(tiny_base, tiny_zoo):
    plan = compose(tiny_base, None, "ky", "en", routing="split", zoo=tiny_zoo)
    with pytest.raises(CompositionError, match="no ranking module(.|\n)*--ranking squad"):
        ComposedReranker(saved(plan, zoo=tiny_zoo), tiny_base, tiny_zoo)
