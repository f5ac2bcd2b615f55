"""Document vectors of a search that was made before: not encoded again, and never wrong ones."""

from dataclasses import replace

import numpy as np
import pytest

from polyrank.collections.records import Document, Query
from polyrank.index.dense import Dense
from polyrank.index.modular_dense import ModularDense

TEXTS = [Document(str(i), text, language="en") for i, text in enumerate(["iron", "salt", "river"])]


@pytest.fixture(params=[Dense, ModularDense])
def made(request, carded_base, tiny_zoo, tmp_path):
    """made(documents, base) -> an index over the cache."""
    more = {"zoo": tiny_zoo} if request.param is ModularDense else {}

    def make(documents, base=carded_base, **options):
        return request.param(
            documents, base, progress=False, keep=tmp_path / "vectors", **more, **options
        )

    return make


def test_the_second_time_nothing_is_encoded(made, monkeypatch):
    first = made(TEXTS)
    assert first.kept.encoded and first.kept.bytes > first.vectors.nbytes
    monkeypatch.setattr("polyrank.index.dense_folder.build", None)  # not to be called
    again = made(list(reversed(TEXTS)))
    assert not again.kept.encoded and again.kept.folder == first.kept.folder
    np.testing.assert_array_equal(first.vectors, again.vectors)
    asked = [Query("q", "salt", "en")]
    assert first.search(asked) == again.search(asked)


def test_other_texts_settings_or_prefixes_are_others(made, carded_base):
    first = made(TEXTS).kept.folder
    changed = [*TEXTS[:2], replace(TEXTS[2], text="rivers")]
    assert made(changed).kept.folder != first
    assert made(TEXTS, max_length=8).kept.folder != first
    card = replace(carded_base.card, passage_prefix="other: ")
    assert made(TEXTS, replace(carded_base, card=card)).kept.folder != first


def test_what_is_damaged_is_made_anew(made):
    first = made(TEXTS)
    whole = np.array(first.vectors)
    (first.kept.folder / "vectors.npy").write_bytes(b"x")
    again = made(TEXTS)
    assert again.kept.encoded
    np.testing.assert_array_equal(again.vectors, whole)


def test_languages_choose_modules(carded_base, tiny_zoo, tmp_path):
    def folder(language):
        texts = [replace(text, language=language) for text in TEXTS]
        made = ModularDense(texts, carded_base, zoo=tiny_zoo, progress=False, keep=tmp_path)
        return made.kept.folder

    assert folder("en") != folder("tr")


def test_a_cache_that_cannot_be_written_is_told(carded_base, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    made = Dense(TEXTS, carded_base, progress=False, keep=tmp_path / "file")
    assert made.kept is None and made.vectors.shape[0] == 3
    assert "document vectors are not kept" in capsys.readouterr().err
