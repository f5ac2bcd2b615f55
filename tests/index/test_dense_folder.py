"""Dense vectors on disk: equal to those in memory, resumed to the byte, bound to their base."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from polyrank.base import load_base
from polyrank.collections.records import Document, Query
from polyrank.errors import DataError, UsageError
from polyrank.index import dense_folder
from polyrank.index.dense import Dense

WORDS = ["boil", "water", "river", "stone", "night", "bird", "iron", "salt"]
DOCUMENTS = [Document(f"d{i}", f"{WORDS[i % 8]} {WORDS[i * 3 % 8]} {i}") for i in range(10)]
QUERIES = [Query("q1", "cold night"), Query("q2", "iron")]


@pytest.fixture
def base(tiny_bert):
    return load_base(str(tiny_bert))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(dense_folder, "STEP", 4)  # 4, 4 and 2 of the 10 documents


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_same_rankings(found, expected):
    """The same scores to 1e-6 at each rank, and of the same documents wherever scores differ."""
    assert found.keys() == expected.keys()
    for query, hits in expected.items():
        scores = [hit.score for hit in hits]
        assert [hit.score for hit in found[query]] == pytest.approx(scores, abs=1e-6)
        of_each = {hit.document_id: hit.score for hit in hits}
        for hit in found[query]:  # the last place may go to either of two that tie
            assert of_each.get(hit.document_id, scores[-1]) == pytest.approx(hit.score, abs=1e-6)


def test_from_disk_as_in_memory(base, tmp_path):
    memory = Dense(DOCUMENTS, base)
    built = Dense.build(DOCUMENTS[::-1], tmp_path / "built", base)
    memory.save(tmp_path / "saved")
    assert sorted(contents(tmp_path / "built")) == ["ids.json", "manifest.json", "vectors.npy"]
    saved = Dense.load(tmp_path / "saved", base)
    assert isinstance(saved.vectors, np.memmap) and not saved.vectors.flags.writeable
    expected = memory.search(QUERIES, depth=5)
    assert saved.search(QUERIES, depth=5) == expected
    assert_same_rankings(built.search(QUERIES, depth=5), expected)
    np.testing.assert_allclose(built.vectors, memory.vectors, atol=1e-6)
    assert repr(saved) == "Dense(10 documents, base 'tiny-bert')"


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_an_interrupted_build_resumes_to_the_same_bytes(steps, base, tmp_path, monkeypatch):
    Dense.build(DOCUMENTS, tmp_path / "whole", base)
    encode, calls = Dense._encode, []

    def failing(self, texts, what):
        if len(calls) == steps:
            raise KeyboardInterrupt
        calls.append(what)
        return encode(self, texts, what)

    monkeypatch.setattr(Dense, "_encode", failing)
    with pytest.raises(KeyboardInterrupt):
        Dense.build(DOCUMENTS, tmp_path / "index", base)
    with pytest.raises(DataError, match="unfinished: build it with resume"):
        Dense.load(tmp_path / "index", base)
    monkeypatch.setattr(Dense, "_encode", lambda *a: (calls.append("again"), encode(*a))[1])
    with pytest.raises(UsageError, match="unfinished index of an earlier build"):
        Dense.build(DOCUMENTS, tmp_path / "index", base)
    Dense.build(DOCUMENTS, tmp_path / "index", base, resume=True)
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")
    assert calls.count("again") == 3 - steps  # nothing done is done again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "whole"]


def test_other_documents_or_settings_do_not_resume(base, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Dense, "_encode", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        Dense.build(DOCUMENTS, tmp_path / "index", base)
    with pytest.raises(UsageError, match="documents was 10 and is 9"):
        Dense.build(DOCUMENTS[1:], tmp_path / "index", base, resume=True)
    with pytest.raises(UsageError, match="max_length was 256 and is 8"):
        Dense.build(DOCUMENTS, tmp_path / "index", base, max_length=8, resume=True)


def test_another_base_is_refused(base, tiny_xlmr, tmp_path):
    Dense.build(DOCUMENTS, tmp_path / "index", base)
    with pytest.raises(UsageError, match="made by base 'tiny-bert'.*this base is 'tiny-xlmr'"):
        Dense.load(tmp_path / "index", str(tiny_xlmr))


def test_a_folder_that_is_there_is_left_alone(base, tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="already exists"):
        Dense.build(DOCUMENTS, tmp_path / "index", base)
    with pytest.raises(DataError, match="this is not a dense index"):
        Dense.load(tmp_path / "index", base)


def test_damage_is_found(base, tmp_path):
    Dense.build(DOCUMENTS, tmp_path / "index", base)

    def damaged(name, data):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(tmp_path / "index", folder)
        (folder / name).write_bytes(data)
        with pytest.raises(DataError) as error:
            Dense.load(folder, base)
        return str(error.value)

    vectors = (tmp_path / "index" / "vectors.npy").read_bytes()
    assert "damaged, rebuild it" in damaged("vectors.npy", vectors[:-4])
    assert "disagree" in damaged("ids.json", b'["d0"]')
    assert "not readable as JSON" in damaged("manifest.json", b"{")
    assert "this version" in damaged("manifest.json", json.dumps({"format": 2}).encode())


# --- what a base's card says ----------------------------------------------------------------------


@pytest.fixture
def carded(base, tiny_card):
    return replace(base, card=tiny_card)


def test_queries_and_documents_get_the_prefixes_of_the_card(base, carded, tmp_path):
    """As if they stood in the texts, over the same base without a card."""
    asked = [replace(query, text=f"ask: {query.text}") for query in QUERIES]
    told = [replace(document, text=f"tell: {document.text}") for document in DOCUMENTS]
    expected = Dense(told, base, max_length=carded.card.length).search(asked, depth=5)
    dense = Dense.build(DOCUMENTS, tmp_path / "index", carded)
    assert dense.max_length == carded.card.length
    assert_same_rankings(dense.search(QUERIES, depth=5), expected)
    assert_same_rankings(Dense.load(tmp_path / "index", carded).search(QUERIES, depth=5), expected)


def test_an_index_is_bound_to_prefixes_and_pooling(base, carded, tmp_path):
    Dense.build(DOCUMENTS, tmp_path / "without", base)
    Dense.build(DOCUMENTS, tmp_path / "with", carded)
    first = replace(carded, card=replace(carded.card, pooling="first"))
    for folder, other in (("without", carded), ("with", base), ("with", first)):
        with pytest.raises(UsageError, match=r"made with the prefixes.*\n?Build the index again"):
            Dense.load(tmp_path / folder, other)
    assert not np.allclose(
        Dense(DOCUMENTS, first).vectors, Dense.load(tmp_path / "with", carded).vectors
    )


def test_an_index_from_before_prefixes_is_read(base, carded, tmp_path):
    expected = Dense.build(DOCUMENTS, tmp_path / "index", base).search(QUERIES)
    path = tmp_path / "index" / "manifest.json"
    row = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in row.items() if not k.endswith("_prefix")}))
    assert Dense.load(tmp_path / "index", base).search(QUERIES) == expected
    with pytest.raises(UsageError, match="made with the prefixes '' and ''"):
        Dense.load(tmp_path / "index", carded)
