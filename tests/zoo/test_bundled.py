"""What is bundled: it loads, matches its base, fits its budget, and ranks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polyrank.base import bundled_zoo, load_base, resolve_base
from polyrank.composition import compose
from polyrank.modules.adapter_folder import load_adapter_module
from polyrank.zoo import list_modules, stale, verify

LANGUAGES = {"en", "de", "es", "ru", "tr", "zh", "sw", "ky", "ug", "fi"}


@pytest.fixture(scope="module")
def mini():
    return load_base("mini")


def test_every_language_has_an_adapter():
    found = {entry.card.language for entry in list_modules("mini", "language", "adapter")}
    assert found >= LANGUAGES


@pytest.mark.parametrize("entry", list_modules("mini", kind="adapter"), ids=lambda one: one.name)
def test_each_adapter_is_whole_small_and_of_this_base(entry, mini):
    module = load_adapter_module(entry.path)  # verifies every file's sha256
    assert entry.card.base_fingerprint == mini.fingerprint
    size = sum(path.stat().st_size for path in entry.path.iterdir())
    assert size <= (2**20 if entry.card.role == "language" else 4 * 2**20)
    assert (module.invertible is not None) == (entry.card.role == "language")
    assert entry.card.data and entry.card.recipe["command"].startswith("polyrank train")
    if entry.card.role == "language":
        assert entry.card.figures["perplexity after"] < entry.card.figures["perplexity before"]
        assert (entry.path / "README.md").is_file()


def test_the_base_loads_with_plain_transformers():
    from transformers import AutoModel, AutoTokenizer

    folder = resolve_base("mini")
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer)
    for text in ("Water boils.", "Суу кайнайт.", "水开了。", "سۇ قاينايدۇ.", "Maji yanachemka."):
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]
    facts = json.loads((Path(folder) / "training.json").read_text())
    assert facts["steps"] > 0


@pytest.mark.parametrize("routing", ["none", "query", "document", "split"])
def test_the_bundled_composition_prefers_the_answer(mini, routing):
    from polyrank.rerankers.cross_encoder import Reranker

    passages = [
        "Water boils at 100 degrees Celsius at sea level; the boiling temperature of water falls "
        "with height.",
        "The company was founded in Berlin in 1923 and sold its first cars in the same year.",
    ]
    reranker = Reranker(mini, routing=routing)
    questions = {
        "en": "At what temperature does water boil?",
        "de": "Bei welcher Temperatur kocht Wasser?",
        "es": "¿A qué temperatura hierve el agua?",
    }
    for language, question in questions.items():
        hits = reranker.rank(question, passages, language, "en")
        assert hits[0].document_id == "0", language


def test_a_composition_of_bundled_modules_prints_itself(mini):
    shown = str(compose(mini, "squad", "ky", "en", routing="split"))
    assert "ky" in shown and "zero-shot" in shown


@pytest.mark.parametrize("entry", list_modules("mini"), ids=lambda entry: entry.name)
def test_each_card_says_what_it_was_made_of_and_what_it_does(entry):
    card = entry.card
    assert card.data and all(source.name and source.licence for source in card.data)
    assert card.licence and card.figures
    assert card.recipe["command"].startswith("polyrank train") and "seed" in card.recipe
    readme = (entry.path / "README.md").read_text(encoding="utf-8")
    late = card.recipe.get("model") == "late interaction"
    example = "pr.LateInteraction(" if late else "pr.Reranker("
    for part in ("## Recipe", "- seed: ", "## Figures", "## Data", example):
        assert part in readme
    assert all(f"{source.name}, {source.licence}" in readme for source in card.data)


def test_the_index_and_the_readmes_are_those_of_the_cards():
    assert stale(bundled_zoo()) == [], "run 'polyrank zoo index'"


def test_everything_bundled_is_sound():
    verdicts = [verdict for verdict in verify() if verdict.path.is_relative_to(bundled_zoo())]
    assert len(verdicts) >= len(LANGUAGES) + 1
    assert [verdict.problem for verdict in verdicts if verdict.problem] == []
