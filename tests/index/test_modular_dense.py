"""Dense retrieval under language modules, against plain pooling and against one module alone."""

import numpy as np
import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.encoders.routed import RoutedEncoder
from polyrank.errors import LanguageError, UsageError
from polyrank.index.dense import Dense
from polyrank.index.modular_dense import ModularDense
from polyrank.modules.adapter.adapter_folder import load_adapter_module

TEXTS = {"de": "abc hij ab", "ky": "def a", "en": "j i h g f e d c b a"}
DOCUMENTS = [Document(language, text, language=language) for language, text in TEXTS.items()]
QUERIES = [Query("q-tr", "abc def", "tr"), Query("q-xx", "hij", "sw")]


@pytest.fixture
def dense(carded_base, tiny_zoo):
    return ModularDense(DOCUMENTS, carded_base, zoo=tiny_zoo, device="cpu", progress=False)


def by_hand(base, zoo, prefix, text, language):
    """The pooled unit vector of a text under one module over all its tokens."""
    module = load_adapter_module(zoo / base.name / "language/adapter" / language)
    encoded = base.tokenizer(prefix + text, return_tensors="pt")
    ids = encoded["input_ids"]
    (hidden,) = RoutedEncoder(base.model, [module])(
        ids, encoded["attention_mask"], encoded.get("token_type_ids"), torch.zeros_like(ids)
    )
    return torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy()


def test_every_text_is_under_its_own_languages_module(dense, carded_base, tiny_zoo):
    card = carded_base.card
    query = by_hand(carded_base, tiny_zoo, card.query_prefix, "abc def", "tr")
    run = dense.search(QUERIES, depth=3)
    for hit in run["q-tr"]:
        vector = by_hand(
            carded_base, tiny_zoo, card.passage_prefix, TEXTS[hit.document_id], hit.document_id
        )
        assert hit.score == pytest.approx(float(query @ vector), abs=1e-5)


def test_without_modules_it_is_dense(carded_base, tmp_path):
    bare = ModularDense(DOCUMENTS, carded_base, zoo=tmp_path, device="cpu", progress=False)
    plain = Dense(DOCUMENTS, carded_base, device="cpu", progress=False)
    assert bare.ids == plain.ids
    np.testing.assert_allclose(bare.vectors, plain.vectors, atol=1e-6)


def test_a_language_without_module_may_stop_it(carded_base, tiny_zoo):
    strict = ModularDense(
        DOCUMENTS, carded_base, zoo=tiny_zoo, device="cpu", progress=False, fallback="error"
    )
    with pytest.raises(LanguageError, match=r"'sw'(.|\n)*--parallel PAIRS.tsv"):
        strict.search(QUERIES)


def test_depth_and_nothing_asked(dense):
    assert dense.search([]) == {}
    assert [len(hits) for hits in dense.search(QUERIES, depth=2).values()] == [2, 2]
    with pytest.raises(UsageError, match="depth"):
        dense.search(QUERIES, depth=0)
