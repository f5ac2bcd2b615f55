"""A guess does not stop a run, and a tag with a region finds the module of its language."""

import pytest

from polyrank import Reranker
from polyrank.errors import LanguageError


@pytest.fixture(scope="module")
def reranker(tiny_folder, tiny_zoo):
    return Reranker(str(tiny_folder), ranking="squad", zoo=tiny_zoo, routing="split")


def test_a_word_that_is_taken_for_another_language(reranker):
    hits = reranker.rank("kahawa", ["water", "salt"], document_language="en")  # Swahili; as Malay
    assert len(hits) == 2
    told = [note for note in reranker.notes if "identified as 'ms' with 0." in note]
    assert told and "query 'query'" in told[0] and "none used" in told[0]


def test_a_language_that_was_named_stops(reranker):
    with pytest.raises(LanguageError, match="no language adapter for 'ms'"):
        reranker.rank("kahawa", ["water"], query_language="ms", document_language="en")
    with pytest.raises(LanguageError, match="no language adapter for 'ms'"):
        reranker.rank("kahawa", ["water"], document_language="ms")


def test_a_region_or_a_script_finds_the_language(reranker):
    plan = reranker.composition("en-GB", "tr-CY")
    assert (plan.query_module, plan.document_module) == ("en", "tr")
    assert any("'en-GB' alone: the query side uses that of 'en'" in note for note in plan.notes)
    assert reranker.composition("ky-Latn", "en").query_module == "ky"


def test_a_language_by_its_name_is_answered_with_its_tag(reranker):
    with pytest.raises(LanguageError, match="'english' is written 'en'"):
        reranker.rank("kahawa", ["water"], query_language="english")
