"""Language masks: exactly k coordinates, which lower the loss of a plain model they are put on."""

from __future__ import annotations

import copy

import pytest
import torch

from polyrank.errors import UsageError
from polyrank.modules.mask.mask_folder import load_mask_module
from polyrank.modules.mask.sparse import applied
from polyrank.training.language.language_model import adapter_model, adapter_size, adapter_width
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.loop.lottery_ticket import Sparsity


def train(base, text, output, **options):
    from polyrank.training.language.train_language import train_language_module

    sizes = {"steps": 40, "batch_size": 4, "length": 24, "rate": 3e-3, "kind": "mask"}
    return train_language_module(str(base), "de", text, output, **{**sizes, **options})


def masked_loss(model, tokenizer, lines):
    """Mean loss at every third token, in the plain class of transformers."""
    encoded = tokenizer(lines, return_tensors="pt", padding=True)
    labels = torch.full_like(encoded["input_ids"], -100)
    labels[:, 1::3] = encoded["input_ids"][:, 1::3]
    labels[encoded["attention_mask"] == 0] = -100
    encoded["input_ids"][labels != -100] = tokenizer.mask_token_id
    with torch.no_grad():
        return float(model(**encoded, labels=labels).loss)


def test_a_mask_on_a_plain_model_lowers_its_loss(tiny_mlm, text_file, tmp_path):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    card = train(tiny_mlm, text_file, tmp_path / "de", sparsity=Sparsity(500, freeze_norms=True))
    assert card.figures["perplexity after"] < card.figures["perplexity before"]
    module = load_mask_module(tmp_path / "de")
    assert len(module) == card.recipe["k"] == 500
    assert not any("LayerNorm" in name for name in module.differences)

    model = AutoModelForMaskedLM.from_pretrained(tiny_mlm).eval()
    output = model.get_output_embeddings()
    output.weight = torch.nn.Parameter(output.weight.detach().clone())  # as it was trained: untied
    tokenizer = AutoTokenizer.from_pretrained(tiny_mlm)
    lines = text_file.read_text().splitlines()
    before = masked_loss(model, tokenizer, lines)
    with applied(model.base_model, module.differences):
        assert masked_loss(model, tokenizer, lines) < before - 0.1
    assert masked_loss(model, tokenizer, lines) == before
    assert not (tmp_path / "de.work").exists()


def test_pairs_are_trained_on(tiny_mlm, text_file, pairs_file, tmp_path):
    card = train(tiny_mlm, text_file, tmp_path / "de", steps=3, parallel=pairs_file)
    assert card.recipe["objective"] == "distance+0.3*contrast+0.1*masked"
    assert card.recipe["pairs"] == 40


def test_a_base_without_head_learns_from_pairs(tiny_bert, pairs_file, tmp_path):
    from polyrank.base import load_base
    from polyrank.training.language.sentence_pairs import SentenceEncoder
    from polyrank.training.language.students import Frozen

    train(tiny_bert, None, tmp_path / "de", parallel=pairs_file, loss="9*distance+tokens")
    base = load_base(str(tiny_bert))
    encoder = SentenceEncoder(base, 24)
    rows = [line.split("\t") for line in pairs_file.read_text().splitlines()[:40]]
    target = encoder.vectors(Frozen(base.model), [row[2] for row in rows], "query", "cpu")

    def distance():
        vectors = encoder.vectors(Frozen(base.model), [row[1] for row in rows], "query", "cpu")
        return float((vectors - target).square().sum(1).mean())

    before = distance()
    with applied(base.model, load_mask_module(tmp_path / "de").differences):
        assert distance() < before


def test_the_target_of_alignment_is_the_base_and_not_what_is_trained(tiny_mlm, tmp_path):
    from polyrank.base import load_base
    from polyrank.training.language.language_loss import LanguageLoss
    from polyrank.training.language.language_objective import parse_objective
    from polyrank.training.language.sentence_pairs import SentenceEncoder, SentencePairs
    from polyrank.training.language.students import Frozen, WholeStudent

    base, same = load_base(str(tiny_mlm)), [("sea ice melts",) * 2, ("stars",) * 2]
    student = WholeStudent(copy.deepcopy(base.model)).eval()
    objective = parse_objective("distance", text=False, pairs=True)
    pairs = SentencePairs(same, SentenceEncoder(base, 24), 2, seed=1)
    pairs.prepare(Frozen(base.model), 1, tmp_path / "targets.safetensors", "cpu")
    loss = LanguageLoss(objective, None, None)
    assert loss(student, pairs.batch(0)).item() < 1e-10
    with torch.no_grad():
        student.base_model.encoder.layer[0].output.dense.weight.mul_(2)
    distance = loss(student, pairs.batch(0))
    assert distance.item() > 1e-6  # 0 if both sides were encoded by what is trained
    distance.backward()
    assert all(parameter.grad is None for parameter in base.model.parameters())


@pytest.mark.parametrize("reduction", [2, 4])
def test_by_default_a_mask_is_as_large_as_an_adapter(tiny_mlm, reduction):
    from adapters import SeqBnConfig

    from polyrank.base import load_base

    base = load_base(str(tiny_mlm))
    width = adapter_width(base, reduction)
    language = TrainableAdapter("it", 32, 3, width, coupling=width)
    assert adapter_size(base, reduction) == sum(p.numel() for p in language.parameters())
    model = adapter_model(str(tiny_mlm))
    model.add_adapter("it", config=SeqBnConfig(reduction_factor=reduction))
    ranking = sum(p.numel() for name, p in model.named_parameters() if ".it." in name)
    assert adapter_size(base, reduction, invertible=False) == ranking


def test_more_coordinates_than_there_are(tiny_mlm, text_file, tmp_path):
    with pytest.raises(UsageError, match="cannot be chosen from"):
        train(tiny_mlm, text_file, tmp_path / "de", steps=1, sparsity=Sparsity(10**9))


def test_other_settings_are_refused_on_a_resume(tiny_mlm, text_file, tmp_path, monkeypatch):
    from polyrank.training.loop import lottery_ticket

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lottery_ticket, "train_sparse", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_mlm, text_file, tmp_path / "de", sparsity=Sparsity(500))
    with pytest.raises(UsageError, match="k was 500, is 400"):
        train(tiny_mlm, text_file, tmp_path / "de", sparsity=Sparsity(400), resume=True)
