"""Modules over a base with prefixes: they stand before texts in training and wherever it scores."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from polyrank.base import load_base
from polyrank.collections.records import Document, Query
from polyrank.errors import ModuleError, UsageError

PAIRS = [
    (Query(f"q{i}", query, "en"), Document(f"d{i}", text, language="en"))
    for i, (query, text) in enumerate([("ice sea", "the ice melts"), ("far", "stars are away")])
]
PREFIXED = [
    (replace(query, text=f"ask: {query.text}"), replace(document, text=f"tell: {document.text}"))
    for query, document in PAIRS
]


@pytest.fixture
def base(carded_mlm):
    return load_base(str(carded_mlm))


# --- the projection ------------------------------------------------------------------------------


def test_pca_keeps_the_most_of_all_projections(base):
    """Against the singular values of the token vectors that late interaction itself makes."""
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.training.late_interaction.token_projection import pca_projection

    texts = ["ice melts", "stars are far away", "the sea", "cats sleep every year", "a"]
    projection = pca_projection(base, texts, 8)
    assert torch.allclose(projection @ projection.T, torch.eye(8), atol=1e-5)
    tokens = torch.cat(LateInteraction(base, "none", device="cpu").encode_documents(texts, "en"))
    kept = (tokens @ projection.T).square().sum().item()
    assert kept == pytest.approx(torch.linalg.svdvals(tokens)[:8].square().sum().item(), rel=1e-4)
    assert torch.equal(pca_projection(base, texts[::-1], 8), projection)
    assert torch.equal(pca_projection(base, [], 32), torch.eye(32))


def test_pca_refuses_what_it_cannot_make(base, tiny_mlm):
    from polyrank.training.late_interaction.token_projection import pca_projection

    with pytest.raises(UsageError, match="has 32 dimensions, so a token cannot have 33"):
        pca_projection(base, ["ice"], 33)
    with pytest.raises(UsageError, match="3 tokens of text do not span 8"):
        pca_projection(base, ["ice"], 8)
    with pytest.raises(ModuleError, match="not trained for retrieval"):
        pca_projection(load_base(str(tiny_mlm)), ["ice"], 8)


def test_late_interaction_starts_as_without_training(base):
    """With an adapter that does nothing yet and all dimensions, scores are those of the base."""
    from polyrank.late_interaction.marked_text import MarkedText, padded
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.training.late_interaction.token_model import default_rules, token_model

    rules = default_rules(base, dim=32)
    assert (rules.query_marker, rules.augment_to, rules.query_prefix) == (None, 0, "ask: ")
    model, _ = token_model(base, rules, "adapter", "x", "en", "", 2, None, torch.eye(32))
    model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "adapter_up" in name:
                parameter.zero_()
        rows, _ = MarkedText(base.tokenizer, rules, 60).documents(["ice melts"])
        ids, attended, scored = padded(rows, base.tokenizer.pad_token_id)
        found = model(ids, attended)[scored]
    (expected,) = LateInteraction(base, "none", device="cpu").encode_documents(["ice melts"], "en")
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_late_interaction_module_has_prefixes_and_no_markers(carded_mlm, judgements, tmp_path):
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.modules.projection import load_projection
    from polyrank.training.late_interaction.train_late_interaction import train_late_interaction

    folder = tmp_path / "li"
    card = train_late_interaction(
        str(carded_mlm), *judgements, folder, over="", steps=2, batch_queries=4, dim=8,
        query_length=24, document_length=40, train_length=40, mine=2,
    )  # fmt: skip
    assert card.recipe["markers"] == [None, None] and card.recipe["augment_to"] == 0
    assert card.recipe["prefixes"] == ["ask: ", "tell: "]
    projection = load_projection(folder)
    assert projection.markers is None and not projection.rules.specials
    model = LateInteraction(str(carded_mlm), str(folder), device="cpu")
    assert [len(v) for v in model.encode_queries(["ice"], "en")] == [3] and model.dim == 8


# --- cross-encoders ------------------------------------------------------------------------------

SHORT = {"steps": 1, "batch_queries": 2, "negatives": 1, "length": 48, "mine": 2, "over": ""}


@pytest.mark.parametrize("kind", ["adapter", "mask", "full"])
def test_a_reranker_puts_them_before_texts(base, carded_mlm, judgements, kind, tmp_path):
    from polyrank import Reranker
    from polyrank.rerankers.cross_encoder import CrossEncoder
    from polyrank.training.ranking.train_ranking import train_ranking_module

    folder = tmp_path / "toy"
    card = train_ranking_module(str(carded_mlm), *judgements, folder, kind=kind, **SHORT)
    assert card.recipe["prefixes"] == ["ask: ", "tell: "] and card.prefixes == ("ask: ", "tell: ")
    reranker = Reranker(base, str(folder), kind, "none", device="cpu")
    scores = reranker.score(PAIRS)
    if kind == "full":
        assert CrossEncoder(folder, device="cpu").score(PAIRS) == pytest.approx(scores, abs=1e-5)
    if kind == "mask":
        from polyrank.composition.merge import merge

        merge(reranker.composition(), base, tmp_path / "merged")
        alone = CrossEncoder(tmp_path / "merged", device="cpu")
        assert alone.score(PAIRS) == pytest.approx(scores, abs=1e-5)
    reranker.prefixes = ("", "")
    assert reranker.score(PREFIXED) == pytest.approx(scores, abs=1e-6)
    assert reranker.score(PAIRS) != pytest.approx(scores, abs=1e-6)


def test_a_module_without_them_is_as_ever(tiny_mlm, carded_mlm, judgements, tmp_path):
    from polyrank import Reranker
    from polyrank.training.ranking.train_ranking import train_ranking_module

    folder = tmp_path / "toy"
    card = train_ranking_module(str(carded_mlm), *judgements, folder, prefixes=False, **SHORT)
    assert "prefixes" not in card.recipe and card.prefixes == ("", "")
    assert Reranker(str(carded_mlm), str(folder), device="cpu").prefixes == ("", "")
    with pytest.raises(UsageError, match="has no prefixes to put before texts"):
        train_ranking_module(str(tiny_mlm), *judgements, tmp_path / "no", prefixes=True, **SHORT)
    for broken in ("query: ", ["a"], [1, 2], True):
        with pytest.raises(ModuleError, match="but must have two texts"):
            replace(card, recipe={"prefixes": broken}).prefixes  # noqa: B018
