"""A kind is one row and one file: the toy kind BitFit (Ben Zaken et al. 2022, arXiv 2106.10199),
whose modules are the biases alone, trains as language and as ranking module, and then reranks."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import polyrank as pr
from polyrank.errors import UsageError
from polyrank.modules.card import read_card
from polyrank.modules.full import head_of
from polyrank.modules.kinds import KINDS
from polyrank.training.kinds import check_options, kinds_for, part_of, trained
from polyrank.training.kinds.contract import LANGUAGE, OF_KINDS, RANKING, PlainPart
from polyrank.training.language.students import WholeStudent
from polyrank.training.loop.stack import whole_classifier

from ..modules.test_kinds import BITFIT, FILE, save_bitfit


def biases(encoder):
    """By name; a pooler is part of a head."""
    named = encoder.named_parameters()
    return {n: p for n, p in named if n.endswith("bias") and not n.startswith("pooler.")}


def only_biases(model):
    for name, parameter in model.base_model.named_parameters():
        parameter.requires_grad_(name.endswith("bias") or name.startswith("pooler."))
    return model


def moved(model, below, ground):
    """How far the biases are from the base's, and from the language module's beneath."""
    start = dict(ground.base.model.named_parameters())
    lying = load_file(below / FILE) if below else {}
    return {
        name: (p.detach() - start[name].detach() - lying.get(name, 0)).contiguous()
        for name, p in biases(model).items()
        if name in start
    }


class LanguageBiases(PlainPart):
    rate = BITFIT.rates["language"]

    def build(self, ground):
        return only_biases(WholeStudent(copy.deepcopy(ground.base.model)))

    def save(self, fitted, ground, output, card):
        return save_bitfit(moved(fitted.model.base_model, None, ground), output, card)


class RankingBiases(PlainPart):
    rate = BITFIT.rates["ranking"]
    beneath = "bitfit"

    def build(self, ground):
        model = whole_classifier(ground.base)
        if ground.below is not None:
            lying = load_file(ground.below / FILE)
            with torch.no_grad():
                for name, bias in model.base_model.named_parameters():
                    if name in lying:
                        bias += lying[name]
        return only_biases(model)

    def save(self, fitted, ground, output, card):
        model = fitted.model
        far = moved(model.base_model, ground.below, ground)
        return save_bitfit(far, output, card, head=head_of(model))


class BitFit:
    parts = {LANGUAGE: LanguageBiases(), RANKING: RankingBiases()}
    teaching = None


@pytest.fixture
def bitfit(monkeypatch):
    """The toy kind, by its row."""
    monkeypatch.setitem(KINDS, "bitfit", replace(BITFIT, training=BitFit()))


def test_a_toy_kind_trains_as_language_and_as_ranking_module(
    bitfit, tiny_mlm, text_file, judgements, tmp_path
):
    from polyrank.base import load_base

    zoo = tmp_path / "zoo"
    folder = zoo / "tiny-mlm/language/bitfit/en"
    card = pr.train_language_module(
        str(tiny_mlm), "en", text_file, folder, kind="bitfit", steps=40, batch_size=4, length=24
    )
    assert card.kind == "bitfit" and card.recipe["rate"] == BITFIT.rates["language"]
    assert card.figures["perplexity after"] < card.figures["perplexity before"]
    stored = load_file(folder / FILE)
    base = load_base(str(tiny_mlm))
    assert set(stored) == set(biases(base.model))
    assert any(value.any() for value in stored.values())

    queries, passages = judgements
    output = zoo / "tiny-mlm/ranking/bitfit/toy"
    sizes = {"steps": 3, "batch_queries": 4, "negatives": 2, "length": 64, "mine": 2}
    card = pr.train_ranking_module(
        str(tiny_mlm), queries, passages, output, kind="bitfit", zoo=zoo, **sizes
    )
    assert card.parent is not None and card.parent.sha256 == read_card(folder).files[FILE]
    assert card.recipe["rate"] == BITFIT.rates["ranking"] and card.recipe["steps"] == 3
    written = load_file(output / FILE)  # the head stands there, too
    far = max(written[name].abs().max().item() for name in stored)
    assert 0 < far < 0.1  # from the language's biases on, not from the base's
    assert not list(output.parent.glob("*.work"))

    reranker = pr.Reranker(base, "toy", "bitfit", zoo=zoo, device="cpu")  # routing: document
    assert reranker.routing == "document"
    hits = reranker.rank("sea ice", ["water boils", "stars"], "en", "en")
    alone = pr.Reranker(base, "toy", "bitfit", "none", zoo=zoo, device="cpu")
    without = alone.rank("sea ice", ["water boils", "stars"], "en", "en")
    assert {h.score for h in hits} != {h.score for h in without}  # the language module acts


def test_the_toy_kind_is_offered_and_can_do_no_more_than_its_parts(bitfit):
    assert kinds_for("language") == ("adapter", "mask", "bitfit")
    assert kinds_for("student") == ("adapter", "mask", "full")
    with pytest.raises(UsageError, match="'bitfit' cannot be trained for the role 'student'"):
        part_of("bitfit", "student")
    with pytest.raises(UsageError, match="--half would be ignored with the kind 'bitfit'"):
        check_options("bitfit", "ranking", half=True)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_entry_says_all_that_a_run_asks_of_it(kind):
    entry = trained(kind)
    assert entry.parts
    for part in entry.parts.values():
        assert part.rate > 0 and part.reads <= set(OF_KINDS)
        assert set(part.replaces) <= part.reads
        assert part.beneath is None or part.beneath in kinds_for("language")
        for method in ("build", "options", "longest", "fit", "save"):
            assert callable(getattr(part, method))


def test_the_tables_need_no_torch():
    import subprocess
    import sys

    modules = ("language", "ranking", "late_interaction", "head", "distillation")
    names = ", ".join(f"polyrank.training.{name}.recipe" for name in modules)
    code = f"import sys, {names}; assert not {{'torch', 'numpy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
