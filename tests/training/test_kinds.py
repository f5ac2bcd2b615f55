"""A kind is one entry of `TRAINING`: a toy kind, BitFit (Ben Zaken et al. 2022, arXiv 2106.10199),
whose modules are the biases alone, trains as language and as ranking module by giving one."""

from __future__ import annotations

import copy
import importlib

import pytest
import torch
from safetensors.torch import load_file, save_file

import polyrank as pr
from polyrank.errors import UsageError
from polyrank.modules.card import read_card, write_card
from polyrank.modules.folder import replaced
from polyrank.training.kinds import TRAINING, check_options, kinds_for, part_of
from polyrank.training.kinds.contract import LANGUAGE, OF_KINDS, RANKING, PlainPart
from polyrank.training.language.students import WholeStudent
from polyrank.training.loop.stack import whole_classifier

WEIGHTS = "biases.safetensors"


def biases(encoder):
    return {name: p for name, p in encoder.named_parameters() if name.endswith("bias")}


def only_biases(model):
    for name, parameter in model.base_model.named_parameters():
        parameter.requires_grad_(name.endswith("bias") or name.startswith("pooler."))
    return model


class LanguageBiases(PlainPart):
    rate = 2e-2

    def build(self, ground):
        return only_biases(WholeStudent(copy.deepcopy(ground.base.model)))

    def save(self, fitted, ground, output, card):
        with replaced(output) as folder:
            moved = biases(fitted.model.base_model)
            save_file(
                {name: p.detach().contiguous() for name, p in moved.items()}, folder / WEIGHTS
            )
            return write_card(folder, card)


class RankingBiases(LanguageBiases):
    beneath = "bitfit"

    def build(self, ground):
        model = whole_classifier(ground.base)
        if ground.below is not None:
            model.base_model.load_state_dict(load_file(ground.below / WEIGHTS), strict=False)
        return only_biases(model)


class BitFit:
    parts = {LANGUAGE: LanguageBiases(), RANKING: RankingBiases()}
    weights = WEIGHTS
    teaching = None


@pytest.fixture
def bitfit(monkeypatch):
    """The toy kind in the table, and among the kinds that a card and a zoo may name."""
    monkeypatch.setitem(TRAINING, "bitfit", BitFit())
    for name in ("polyrank.modules.card", "polyrank.zoo.find"):
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "KINDS", (*module.KINDS, "bitfit"))


def test_a_toy_kind_trains_as_language_and_as_ranking_module(
    bitfit, tiny_mlm, text_file, judgements, tmp_path
):
    from polyrank.base import load_base

    zoo = tmp_path / "zoo"
    folder = zoo / "tiny-mlm/language/bitfit/en"
    card = pr.train_language_module(
        str(tiny_mlm), "en", text_file, folder, kind="bitfit", steps=40, batch_size=4, length=24
    )
    assert card.kind == "bitfit" and card.recipe["rate"] == LanguageBiases.rate
    assert card.figures["perplexity after"] < card.figures["perplexity before"]
    stored = load_file(folder / WEIGHTS)
    base = dict(load_base(str(tiny_mlm)).model.named_parameters())
    assert set(stored) == set(biases(load_base(str(tiny_mlm)).model))
    assert any(not torch.equal(value, base[name]) for name, value in stored.items())

    queries, passages = judgements
    output = tmp_path / "toy"
    sizes = {"steps": 3, "batch_queries": 4, "negatives": 2, "length": 64, "mine": 2}
    card = pr.train_ranking_module(
        str(tiny_mlm), queries, passages, output, kind="bitfit", zoo=zoo, **sizes
    )
    assert card.parent is not None and card.parent.sha256 == read_card(folder).files[WEIGHTS]
    assert card.recipe["rate"] == LanguageBiases.rate and card.recipe["steps"] == 3
    moved = load_file(output / WEIGHTS)
    far = {name: (moved[name] - stored[name]).abs().max().item() for name in stored}
    assert 0 < max(far.values()) < 0.1  # from the language's biases on, not from the base's
    assert not (tmp_path / "toy.work").exists()


def test_the_toy_kind_is_offered_and_can_do_no_more_than_its_parts(bitfit):
    assert kinds_for("language") == ("adapter", "mask", "bitfit")
    assert kinds_for("student") == ("adapter", "mask", "full")
    with pytest.raises(UsageError, match="'bitfit' cannot be trained for the role 'student'"):
        part_of("bitfit", "student")
    with pytest.raises(UsageError, match="--half would be ignored with the kind 'bitfit'"):
        check_options("bitfit", "ranking", half=True)


@pytest.mark.parametrize("kind", TRAINING)
def test_every_entry_says_all_that_a_run_asks_of_it(kind):
    trained = TRAINING[kind]
    assert trained.weights.endswith(".safetensors") and trained.parts
    for part in trained.parts.values():
        assert part.rate > 0 and part.reads <= set(OF_KINDS)
        assert set(part.replaces) <= part.reads
        assert part.beneath is None or part.beneath in kinds_for("language")
        for method in ("build", "options", "longest", "fit", "save"):
            assert callable(getattr(part, method))


def test_no_other_file_asks_for_a_kind_by_its_name():
    import re
    from pathlib import Path

    import polyrank.cli

    names = "|".join(TRAINING)
    asked = re.compile(rf"""[=!]=\s*["']({names})["']|["']({names})["']\s*[=!]=""")
    roots = [Path(pr.__file__).parent / "training", Path(polyrank.cli.__file__).parent / "train"]
    files = [path for root in roots for path in root.rglob("*.py") if "pack" not in path.parts]
    assert len(files) > 50
    assert [str(path) for path in files if asked.search(path.read_text())] == []


def test_the_tables_need_no_torch():
    import subprocess
    import sys

    modules = ("language", "ranking", "late_interaction", "head", "distillation")
    names = ", ".join(f"polyrank.training.{name}.recipe" for name in modules)
    code = f"import sys, {names}; assert not {{'torch', 'numpy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
