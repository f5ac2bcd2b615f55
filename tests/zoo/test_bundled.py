"""What is bundled, whatever it is: it fits its base and its budget, and says how it was made."""

from __future__ import annotations

import json

import pytest

from polyrank.base import DEFAULT_BASE, bundled_zoo, load_base
from polyrank.composition.plan import compose
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.zoo import list_modules, stale, verify

BUNDLED = [entry for entry in list_modules() if entry.source == "bundled"]
BASES = sorted({entry.card.base for entry in BUNDLED})
PASSAGES = [
    "Water boils at 100 degrees Celsius at sea level; the boiling temperature of water falls "
    "with height.",
    "The company was founded in Berlin in 1923 and sold its first cars in the same year.",
]
QUESTIONS = {
    "de": "Bei welcher Temperatur kocht Wasser?",
    "en": "At what temperature does water boil?",
    "es": "¿A qué temperatura hierve el agua?",
    "ru": "При какой температуре кипит вода?",
    "sw": "Maji huchemka kwa joto gani?",
    "tr": "Su kaç derecede kaynar?",
    "zh": "水在多少度沸腾？",
}


def test_what_verbs_use_by_default_is_bundled():
    places = ("language/adapter/en", "ranking/adapter/squad", "ranking/adapter/squad-li")
    assert {f"{DEFAULT_BASE}/{place}" for place in places} <= {entry.name for entry in BUNDLED}


def test_the_index_lists_every_module_and_knows_every_base():
    index = json.loads((bundled_zoo() / "index.json").read_text())
    assert [row["name"] for row in index["modules"]] == [entry.name for entry in BUNDLED]
    for entry in BUNDLED:
        known = index["bases"][entry.card.base]
        assert (known["weights"], known["vocabulary"]) == (
            entry.card.base_fingerprint.weights,
            entry.card.base_fingerprint.vocabulary,
        )


def test_the_index_and_the_readmes_are_those_of_the_cards():
    assert stale(bundled_zoo()) == [], "run 'polyrank zoo index'"


def test_everything_bundled_is_sound():
    verdicts = [verdict for verdict in verify() if verdict.path.is_relative_to(bundled_zoo())]
    assert [verdict.name for verdict in verdicts] == [entry.name for entry in BUNDLED]
    assert [verdict.problem for verdict in verdicts if verdict.problem] == []


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_each_card_says_what_it_was_made_of_and_what_it_does(entry):
    card = entry.card
    assert card.data and all(source.name and source.licence for source in card.data)
    assert card.licence and card.figures
    assert card.recipe["command"].startswith(("polyrank train", "make gpu-train"))
    assert "seed" in card.recipe
    readme = (entry.path / "README.md").read_text(encoding="utf-8")
    late = card.recipe.get("model") == "late interaction"
    example = "pr.LateInteraction(" if late else "pr.Reranker("
    for part in ("## Recipe", "- seed: ", "## Figures", "## Data", example):
        assert part in readme
    assert all(f"{source.name}, {source.licence}" in readme for source in card.data)


@pytest.mark.parametrize(
    "entry", [one for one in BUNDLED if one.card.kind == "adapter"], ids=lambda entry: entry.name
)
def test_each_adapter_is_whole_and_small(entry):
    module = load_adapter_module(entry.path)  # verifies every file's sha256
    size = sum(path.stat().st_size for path in entry.path.iterdir())
    assert size <= (2**20 if entry.card.role == "language" else 4 * 2**20)
    assert (module.invertible is not None) == (entry.card.role == "language")


@pytest.mark.parametrize(
    "entry", [one for one in BUNDLED if one.card.role == "language"], ids=lambda entry: entry.name
)
def test_each_language_module_pays(entry):
    """Retrieval in its language is no worse than with the base alone, on development data."""
    figures = {key.removeprefix("whole: "): value for key, value in entry.card.figures.items()}
    measured = [key for key in figures if key.startswith("before ") and "dense" in key]
    if entry.card.language == "en":  # is aligned to itself, so that it changes nothing
        assert measured == []
        return
    assert measured
    for key in measured:
        scaled = [value for name, value in figures.items() if name.startswith("nDCG@10 at scale")]
        after = max([figures[key.replace("before ", "after ")], *scaled])
        assert after > figures[key] - 0.002, key


@pytest.fixture(scope="module", params=BASES)
def base(request, tmp_path_factory):
    """Each base that something is bundled for, with its real weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYRANK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load_base(request.param)


@pytest.mark.slow
def test_the_modules_are_of_this_base(base):
    for entry in BUNDLED:
        if entry.card.base == base.name:
            assert entry.card.base_fingerprint == base.fingerprint, entry.name


@pytest.mark.slow
def test_the_base_loads_with_plain_transformers_and_knows_the_languages(base):
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(base.folder)
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    assert len(tokenizer) <= model.config.vocab_size
    for text in ("Water boils.", "Суу кайнайт.", "水开了。", "سۇ قاينايدۇ.", "Maji yanachemka."):
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["none", "query", "document", "split"])
def test_a_composition_prefers_the_answer(base, routing):
    from polyrank import Reranker

    modules = {one.card.language for one in list_modules(base.name, "language", "adapter")}
    asked = sorted(modules & set(QUESTIONS))
    assert "en" in asked
    reranker = Reranker(base, routing=routing)
    for language in asked:
        hits = reranker.rank(QUESTIONS[language], PASSAGES, language, "en")
        assert hits[0].document_id == "0", language


@pytest.mark.slow
def test_a_composition_prints_itself(base):
    languages = {one.card.language for one in list_modules(base.name, "language", "adapter")}
    for language in languages - {"en"}:
        shown = str(compose(base, "squad", language, "en", routing="split"))
        assert language in shown and "zero-shot" in shown
