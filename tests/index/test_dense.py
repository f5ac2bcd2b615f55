"""The dense first stage against its definition, and its independence of batches."""

import numpy as np
import pytest
import torch

from polyrank.base import load_base
from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.index.dense import Dense, best, encode

WORDS = ["boil", "water", "river", "stone", "night", "bird", "iron", "salt"]


def documents(count: int) -> list[Document]:
    return [
        Document(f"d{i:02}", " ".join(WORDS[: 1 + (i * 5) % 7] + [WORDS[i % 8]]))
        for i in range(count)
    ]


def test_a_vector_is_the_mean_of_the_last_states(tiny_base):
    vector = encode(tiny_base, ["boil water"])[0]
    inputs = tiny_base.tokenizer("boil water", return_tensors="pt")
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        mean = tiny_base.model(**inputs).last_hidden_state[0].mean(dim=0)
    np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-6)


def test_vectors_do_not_depend_on_the_batch(tiny_base):
    texts = [document.text for document in documents(20)]
    together = encode(tiny_base, texts, batch_tokens=100_000)
    alone = encode(tiny_base, texts, batch_tokens=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_search_is_exact_cosine(tiny_folder):
    texts, query = documents(20), Query("q", "cold night")
    hits = Dense(texts, base=str(tiny_folder)).search([query], depth=7)["q"]
    base = load_base(str(tiny_folder))
    cosines = encode(base, [d.text for d in texts]) @ encode(base, [query.text])[0]
    expected = sorted(zip(cosines, [d.id for d in texts], strict=True), key=lambda x: (-x[0], x[1]))
    assert [hit.document_id for hit in hits] == [i for _, i in expected[:7]]
    np.testing.assert_allclose([hit.score for hit in hits], [c for c, _ in expected[:7]], atol=1e-6)


def test_equal_documents_are_ordered_by_id(tiny_bert):
    texts = [Document(i, "salt and iron") for i in ("b", "c", "a", "d")]
    hits = Dense(texts, base=str(tiny_bert)).search([Query("q", "salt")], depth=2)["q"]
    assert [hit.document_id for hit in hits] == ["a", "b"]


def test_a_query_finds_its_own_words_first(tiny_bert):
    texts = documents(8)
    dense = Dense(texts, base=str(tiny_bert))
    run = dense.search([Query(d.id, d.text) for d in texts], depth=100)
    assert all(hits[0].score == pytest.approx(1.0, abs=1e-5) for hits in run.values())
    assert all(
        len(hits) == 8 for hits in run.values()
    )  # a depth beyond the documents is not an error


def test_small_blocks_change_nothing(tiny_bert, monkeypatch):
    texts, queries = documents(20), [Query(str(i), word) for i, word in enumerate(WORDS)]
    dense = Dense(texts, base=str(tiny_bert))
    whole = dense.search(queries, depth=5)
    monkeypatch.setattr("polyrank.index.dense.SCORES_AT_ONCE", 45)  # two queries at a time
    blocks = dense.search(queries, depth=5)
    assert [[h.document_id for h in hits] for hits in whole.values()] == [
        [h.document_id for h in hits] for hits in blocks.values()
    ]


def test_best_by_hand():
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.5], dtype=np.float32)
    assert best(scores, 3) == [1, 0, 2]  # of the three 0.5 the first two
    assert best(scores, 99) == [1, 0, 2, 4, 3]


@pytest.mark.parametrize(
    ("texts", "message"),
    [([], "at least one document"), ([Document("a", "x"), Document("a", "y")], "have the id 'a'")],
)
def test_what_cannot_be_indexed(texts, message, tiny_bert):
    with pytest.raises(UsageError, match=message):
        Dense(texts, base=str(tiny_bert))


def test_vectors_in_8_bits_are_near_and_say_so(tiny_base, tmp_path):
    exact = Dense(documents(6), tiny_base, progress=False)
    small = Dense.build(documents(6), tmp_path / "index", tiny_base, precision="int8")
    assert ((exact.vectors * small.vectors).sum(axis=1) > 0.9).all()  # cosines
    assert (exact.manifest.precision, small.manifest.precision) == ("fp32", "int8")
    opened = Dense.load(tmp_path / "index", tiny_base)
    queries = [Query("q", "boil water")]
    assert opened.search(queries, 3) == small.search(queries, 3)  # queries in int8 too
