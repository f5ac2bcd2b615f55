"""A guessed language without a module does not stop late interaction; a named one does."""

import pytest

from polyrank import LateInteraction
from polyrank.collections.records import Document, Query
from polyrank.errors import LanguageError
from polyrank.index.modular_dense import ModularDense


@pytest.fixture
def model(carded_base, tiny_zoo):
    return LateInteraction(carded_base, ranking="none", routing="split", zoo=tiny_zoo)


def test_a_guess_is_told_and_goes_without(model):
    hits = model.rank("kahawa", ["water", "kahawa ya"], document_language="en")
    assert len(hits) == 2
    (told,) = model.notes.of_kind("unidentified")
    assert told.startswith("identified as 'ms' with 0.") and "query 'query'" in told
    assert model.composition  # the same vectors as of no module
    bare = LateInteraction(model.base, ranking="none", routing="none")
    assert model.encode_queries(["kahawa"])[0].equal(bare.encode_queries(["kahawa"])[0])


def test_a_named_language_stops(model):
    with pytest.raises(LanguageError, match="no language adapter for 'ms'"):
        model.rank("kahawa", ["water"], query_language="ms", document_language="en")


def test_many_guesses_are_one_note_with_a_count(model):
    model.encode_queries([Query(str(i), word) for i, word in enumerate(["kahawa", "kahawa ini"])])
    assert list(model.notes.of_kind("unidentified").values()) == [2]


def test_dense_with_modules_that_are_to_stop(carded_base, tiny_zoo):
    strict = ModularDense(
        [Document("d", "water", language="en")], carded_base, zoo=tiny_zoo, fallback="error",
        progress=False,
    )  # fmt: skip
    assert len(strict.search([Query("q", "kahawa")])["q"]) == 1
    with pytest.raises(LanguageError, match="'ms'"):
        strict.search([Query("q", "kahawa", "ms")])
