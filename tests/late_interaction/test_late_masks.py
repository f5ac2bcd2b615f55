"""Late interaction with masks: as if the weights had been changed by hand, and nothing stays."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from polyrank.collections.records import Query
from polyrank.encoders.routed import RoutedEncoder
from polyrank.errors import LanguageError, ModuleError, UsageError
from polyrank.late_interaction.model import LateInteraction
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.projection import load_projection

KINDS = [  # ranking module, its name, language modules
    ("mask", "li", "mask"),
    ("mask", "li", "adapter"),
    ("adapter", "li", "mask"),
    ("full", "moved", "mask"),
]


@pytest.fixture
def model(tiny_base, late_zoo, late_masks, monkeypatch):
    """A model over masks and adapters: model(kind=..., ...)."""
    monkeypatch.setenv("POLYRANK_ZOO", os.pathsep.join([str(late_masks), str(late_zoo)]))

    def make(**options):
        return LateInteraction(
            tiny_base, **{"ranking": "li", "kind": "mask", "device": "cpu", **options}
        )

    return make


def by_hand(scorer, encoder, text, side, run=None):
    """The vectors of one text: the encoder's own forward, the projection, unit length."""
    (row,) = getattr(scorer._text, side)([text])[0]
    table, projection = encoder.embeddings.word_embeddings, scorer.projection
    own = torch.cat([table.weight, projection.markers])  # markers are the next two ids
    ids = torch.tensor([row.ids])
    attended = torch.tensor([[int(n < row.attended) for n in range(len(row.ids))]])
    with torch.no_grad():
        words = own[ids]
        if run is None:
            hidden = encoder(inputs_embeds=words, attention_mask=attended).last_hidden_state
        else:
            hidden = run(ids, attended, words)
        vectors = torch.nn.functional.normalize(hidden[0] @ projection.weight.T, dim=1)
    return vectors if side == "queries" else vectors[~scorer._skipped[ids[0]]]


@pytest.mark.parametrize(("kind", "ranking", "language_kind"), KINDS)
@pytest.mark.parametrize("side", ["queries", "documents"])
def test_a_mixed_batch_is_encoded_as_each_text_alone(
    model, texts, as_it_was, kind, ranking, language_kind, side
):
    scorer = model(kind=kind, ranking=ranking, language_kind=language_kind)
    unchanged = as_it_was(scorer._encoder)
    records = [Query(d.id, d.text, d.language) for d in texts] if side == "queries" else texts
    encode = getattr(scorer, f"encode_{side}")
    mixed, alone = encode(records), [encode([record])[0] for record in records]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(mixed, alone, strict=True))
    assert unchanged()
    (german,), (kyrgyz,) = (encode(["abc def"], tag) for tag in ("de", "ky"))
    assert (german - kyrgyz).abs().max() > 1e-2


@pytest.mark.parametrize("routing", ["split", "document", "query", "none"])
def test_masks_are_as_if_the_weights_had_been_changed_by_hand(
    model, texts, late_masks, tiny_base, dense, routing
):
    """Query and document each under base + ranking mask + the mask of one language, or of none."""
    scorer, zoo = model(routing=routing), late_masks / tiny_base.name
    pairs = [(Query("q", "abc def", tag), d) for tag in ("ky", "tr") for d in texts[:4]]
    for (query, document), value in zip(pairs, scorer.score(pairs), strict=True):
        tags = {
            "split": (query.language, document.language),
            "document": (document.language,) * 2,
            "query": (query.language,) * 2,
            "none": (None, None),
        }[routing]
        encoders = [
            dense(tiny_base.model, zoo / "ranking/mask/li",
                  *([zoo / "language/mask" / tag] if tag else []))
            for tag in tags
        ]  # fmt: skip
        left = by_hand(scorer, encoders[0], query.text, "queries")
        right = by_hand(scorer, encoders[1], document.full_text, "documents")
        assert value == pytest.approx((left @ right.T).amax(1).sum().item(), abs=5e-5)


def test_mixtures_of_kinds_against_dense_sums(model, late_masks, late_zoo, tiny_base, dense):
    masks, adapters = late_masks / tiny_base.name, late_zoo / tiny_base.name

    def routed(encoder, *modules):
        engine = RoutedEncoder(encoder, *modules)

        def run(ids, attended, words):
            types = torch.zeros_like(ids) if encoder.config.type_vocab_size > 1 else None
            index = torch.zeros_like(ids) if engine.languages else None
            return engine(ids, attended, types, index, words)

        return run

    over_adapter = dense(tiny_base.model, masks / "language/mask/ky")
    ranking = load_adapter_module(adapters / "ranking/adapter/li")
    scorer = model(kind="adapter", language_kind="mask")
    expected = by_hand(scorer, over_adapter, "abc", "documents", routed(over_adapter, [], ranking))
    assert torch.allclose(scorer.encode_documents(["abc"], "ky")[0], expected, atol=1e-5)

    under_mask = dense(tiny_base.model, masks / "ranking/mask/li")
    language = load_adapter_module(adapters / "language/adapter/ky")
    scorer = model(language_kind="adapter")
    expected = by_hand(scorer, under_mask, "abc", "documents", routed(under_mask, [language]))
    assert torch.allclose(scorer.encode_documents(["abc"], "ky")[0], expected, atol=1e-5)


def test_a_composition_says_what_is_active(model):
    plan = model().composition("ky", "tr")
    assert (plan.kind, plan.ranking_kind, plan.routing) == ("mask", "mask", "split")
    assert plan.active() == {"query": ("ky",), "document": ("tr",)}
    assert "routing split" in str(plan)
    mixed = model(kind="adapter", language_kind="mask").composition("ky", "ky")
    assert (mixed.kind, mixed.ranking_kind) == ("mask", "adapter")


def test_masks_are_put_on_once_for_a_language(model, texts, put_on):
    scorer = model()
    found = put_on(scorer._masked)
    scorer.encode_documents(texts)
    assert sorted(found) == [["li", tag] for tag in sorted({text.language for text in texts})]


def test_what_stops_an_encoding_leaves_the_base_as_it_was(model, texts, stopped):
    scorer = model()
    encode = partial(scorer.encode_documents, texts)
    assert stopped(scorer, scorer._encoder, encode) == (False, True)


def test_models_of_one_base_wait_for_each_other(model, texts):
    """Two with other masks and one with adapters, each in a thread of its own."""
    options = [{}, {"routing": "none"}, {"kind": "adapter"}]
    expected = [model(**o).encode_documents(texts) for o in options]
    scorers = [model(**o) for o in options]
    with ThreadPoolExecutor(len(scorers)) as threads:
        found = threads.map(lambda s: [s.encode_documents(texts) for _ in range(3)], scorers)
    for turns, vectors in zip(found, expected, strict=True):
        assert all(all(map(torch.equal, turn, vectors)) for turn in turns)


def test_bf16_runs_on_a_copy(model, texts, tiny_base, as_it_was):
    unchanged = as_it_was(tiny_base.model)
    coarse = model(precision="bf16").encode_documents(texts)
    exact = model().encode_documents(texts)
    assert unchanged()
    assert all((a - b).abs().max() < 0.2 for a, b in zip(coarse, exact, strict=True))


# --- export, and what does not fit ---------------------------------------------------------------


def test_pylates_checkpoint_has_the_masks_merged(model, tmp_path):
    with pytest.raises(UsageError, match="one encoder for all texts"):
        model().export_pylate(tmp_path / "none")
    for name, options, language in (("bare", {"routing": "none"}, None), ("ky", {}, "ky")):
        scorer = model(**options)
        scorer._text.rules = scorer.rules = _one_length(scorer.rules)
        scorer.export_pylate(tmp_path / name, language)
        alone = LateInteraction(ranking=str(tmp_path / name), device="cpu")
        for side in ("queries", "documents"):
            (found,) = getattr(alone, f"encode_{side}")(["abc, def"])
            (expected,) = getattr(scorer, f"encode_{side}")(["abc, def"], language or "en")
            assert torch.allclose(found, expected, atol=1e-5)
    with pytest.raises(UsageError, match="leave out the language"):
        model(routing="none").export_pylate(tmp_path / "x", "ky")
    with pytest.raises(LanguageError, match="'so'"):
        model().export_pylate(tmp_path / "x", "so")
    with pytest.raises(ModuleError, match="no language or ranking adapters"):
        model(language_kind="adapter").export_pylate(tmp_path / "x", "ky")


def _one_length(rules):
    """PyLate fills queries up to the length that it reads."""
    from dataclasses import replace

    return replace(rules, query_length=rules.augment_to)


def test_cross_encoders_and_late_interaction_refuse_each_others_masks(model, tiny_base):
    from polyrank import Reranker

    with pytest.raises(ModuleError, match="is a cross-encoder.*\n.*pr.Reranker"):
        model(ranking="squad")
    with pytest.raises(ModuleError, match="late interaction.*\n.*pr.LateInteraction"):
        Reranker(tiny_base, "li", "mask")


def test_a_module_folder_holds_mask_and_projection(late_masks, tiny_base):
    from polyrank.modules.card import read_card, train_command_of

    folder = late_masks / tiny_base.name / "ranking/mask/li"
    card = read_card(folder)
    assert set(card.files) == {
        "mask.safetensors", "projection.safetensors", "late_interaction.json"
    }  # fmt: skip
    assert card.parent is not None and card.parent.name == "en"
    assert load_projection(folder).markers is not None
    assert "train late-interaction" in train_command_of(card)
    assert "--kind mask --output" in train_command_of(card)
    assert 'pr.LateInteraction("' in (folder / "README.md").read_text()
