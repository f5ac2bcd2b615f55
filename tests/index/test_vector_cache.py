"""Document vectors of a search that was made before: not encoded again, and never wrong ones."""

import subprocess
import sys
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
    assert first.cached.encoded and first.cached.bytes > first.vectors.nbytes
    monkeypatch.setattr("polyrank.index.vector_cache._write", None)  # not to be called
    again = made(list(reversed(TEXTS)))
    assert not again.cached.encoded and again.cached.folder == first.cached.folder
    np.testing.assert_array_equal(first.vectors, again.vectors)
    asked = [Query("q", "salt", "en")]
    assert first.search(asked) == again.search(asked)


def test_other_texts_settings_or_prefixes_are_others(made, carded_base):
    first = made(TEXTS).cached.folder
    changed = [*TEXTS[:2], replace(TEXTS[2], text="rivers")]
    assert made(changed).cached.folder != first
    assert made(TEXTS, max_length=8).cached.folder != first
    card = replace(carded_base.card, passage_prefix="other: ")
    assert made(TEXTS, replace(carded_base, card=card)).cached.folder != first


def test_what_is_damaged_is_made_anew(made):
    first = made(TEXTS)
    whole = np.array(first.vectors)
    (first.cached.folder / "vectors.npy").write_bytes(b"x")
    again = made(TEXTS)
    assert again.cached.encoded
    np.testing.assert_array_equal(again.vectors, whole)


def test_languages_choose_modules(carded_base, tiny_zoo, tmp_path):
    def folder(language):
        texts = [replace(text, language=language) for text in TEXTS]
        made = ModularDense(texts, carded_base, zoo=tiny_zoo, progress=False, keep=tmp_path)
        return made.cached.folder

    assert folder("en") != folder("tr")


def test_a_cache_that_cannot_be_written_is_told(carded_base, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    made = Dense(TEXTS, carded_base, progress=False, keep=tmp_path / "file")
    assert made.cached is None and made.vectors.shape[0] == 3
    assert "document vectors are not kept for the next search" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["progress.json", "vectors.npy", "manifest.json"])
def test_what_a_kill_left_is_in_nobodys_way(made, part):
    first = made(TEXTS)
    folder, whole = first.cached.folder, np.array(first.vectors)
    unfinished = folder.rename(folder.with_name(f".{folder.name}.partial"))
    (unfinished / "progress.json").write_text('{"done": 1}')
    (unfinished / part).write_bytes(b"x")
    again = made(TEXTS)
    assert again.cached.encoded and not unfinished.exists()
    np.testing.assert_array_equal(again.vectors, whole)


def test_an_error_of_encoding_is_that_error(made, monkeypatch, capsys):
    from polyrank.errors import UsageError

    calls = []

    def fail(*_, **options):
        calls.append(1)
        raise UsageError("no room")

    encoders = (
        "index.dense.encode",
        "late_interaction.pooled_vectors.PooledVectors.encode_documents",
    )
    for one in encoders:
        monkeypatch.setattr(f"polyrank.{one}", fail)
    with pytest.raises(UsageError, match="no room"):
        made(TEXTS)
    assert calls == [1] and "not kept" not in capsys.readouterr().err


def test_what_was_noted_is_noted_again(carded_base, tiny_zoo, tmp_path):
    """Languages that were identified, and a document without text."""
    unnamed = [Document("0", "iron and salt"), Document("1", " ")]

    def noted():
        made = ModularDense(unnamed, carded_base, zoo=tiny_zoo, progress=False, keep=tmp_path)
        return made.cached.encoded, dict(made.notes)

    first, second = noted(), noted()
    assert (first[0], second[0]) == (True, False) and first[1] == second[1]
    assert any("identified" in one for one in first[1]) and len(first[1]) > 1


TWO_PROCESSES = """
import os, sys
from pathlib import Path
from polyrank.collections.records import Document
from polyrank.index.dense import Dense
import transformers.models.bert.modeling_bert
def encode():
    documents = [Document(str(i), f"iron {i}") for i in range(40)]
    Dense(documents, sys.argv[1], progress=False, keep=Path(sys.argv[2]))
children = []
for _ in range(2):
    children.append(os.fork())
    if children[-1] == 0:
        encode()
        os._exit(0)
sys.exit(max(os.waitpid(child, 0)[1] for child in children) != 0)
"""


@pytest.mark.parametrize("tiny_folder", ["tiny_bert"], indirect=True)
def test_two_processes_make_them_at_once(carded_base, tmp_path):
    """Both get their vectors, and what stays is whole."""
    command = [sys.executable, "-c", TWO_PROCESSES, carded_base.folder, tmp_path / "vectors"]
    both = subprocess.run(command, capture_output=True, text=True)
    assert both.returncode == 0, both.stderr
    (folder,) = [one for one in (tmp_path / "vectors").iterdir() if one.is_dir()]
    assert {"vectors.npy", "notes.json"} <= {file.name for file in folder.iterdir()}
