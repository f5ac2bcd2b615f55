"""One loader: what each kind of name means, and that a spec is a value."""

import pickle

import pytest

from polyrank.composition.plan import compose
from polyrank.composition.saved import save_composition, saved
from polyrank.errors import UsageError
from polyrank.late_interaction.model import LateInteraction
from polyrank.rerankers.base import Pointwise
from polyrank.rerankers.composed import ComposedReranker
from polyrank.rerankers.cross_encoder import CrossEncoder
from polyrank.rerankers.load import RERANKERS, RerankerSpec, load_reranker, spec_of
from polyrank.rerankers.modular import ModularReranker

from ..late_interaction.conftest import late_zoo  # noqa: F401


def test_a_base_gets_what_it_is_best_with(default_zoo):
    from polyrank.base import DEFAULT_BASE

    assert isinstance(load_reranker(DEFAULT_BASE), LateInteraction)
    squad = load_reranker(DEFAULT_BASE, ranking="squad", routing="none")
    assert isinstance(squad, ModularReranker) and squad.routing == "none"
    by_name = load_reranker(f"{DEFAULT_BASE}/ranking/mask/squad")
    assert isinstance(by_name, ModularReranker) and by_name.kind == "mask"


def test_a_module_folder_a_checkpoint_and_a_composition(tiny_base, tiny_zoo, late_zoo, tmp_path):  # noqa: F811
    folder = tiny_zoo / tiny_base.name / "ranking" / "adapter"
    options = {"base": tiny_base, "zoo": tiny_zoo}
    assert isinstance(load_reranker(str(folder / "squad"), **options), ModularReranker)
    assert isinstance(load_reranker(folder / "li", **options), LateInteraction)
    plan = compose(tiny_base, "squad", "ky", "tr", routing="split", zoo=tiny_zoo)
    save_composition(plan, tmp_path / "plan.json", zoo=tiny_zoo)
    for given in (tmp_path / "plan.json", saved(plan, zoo=tiny_zoo)):
        assert isinstance(load_reranker(given, **options), ComposedReranker)


def test_a_model_in_one_piece(tiny_bert, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=1)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    assert isinstance(load_reranker(tmp_path), CrossEncoder)
    assert isinstance(load_reranker({"model": str(tmp_path), "max_length": 9}), CrossEncoder)


def test_rerankers_and_scorers_pass_through():
    class Scorer:
        def score(self, pairs):
            return [0.0] * len(pairs)

    wrapped = load_reranker(Scorer())
    assert isinstance(wrapped, Pointwise) and load_reranker(wrapped) is wrapped


def test_a_spec_is_a_value():
    spec = RerankerSpec(base="x", kind="mask", ranking_kind="adapter")
    assert spec.of_ranking == "adapter" and pickle.loads(pickle.dumps(spec)) == spec
    assert spec_of({"base": "x", "kind": "mask"}, ranking_kind="adapter") == spec


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"rank": "x"}, {}, "no option 'rank'; it has base"),
        ("e5-small", {"roting": "x"}, "no option 'roting'"),
        ({"type": "composition"}, {}, "needs 'composition'"),
        ({"type": "cross-encoder"}, {}, "needs 'model'"),
        ({"options": {"foo": 1}}, {}, "give its 'type'"),
        ("", {}, "a reranker is a name, a folder"),
        (3, {}, "not 3"),
        ({"type": "oracle"}, {}, "unknown reranker 'oracle'; use one of modular"),
        ("e5-small/language/adapter/ky", {}, "is a language module; give a ranking module"),
    ],
)
def test_what_is_wrong_is_named(given, options, message):
    with pytest.raises(UsageError, match=message):
        load_reranker(given, **options)


def test_every_row_says_what_it_is_and_loads():
    from importlib import import_module

    for row in RERANKERS.values():
        module, name = row.load.split(":")
        assert callable(getattr(import_module(module), name)) and row.about
