"""int8 against fp32, and which precision a name means."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from polyrank.encoders import fastest
from polyrank.encoders.fastest import PAIRS, settled
from polyrank.encoders.int8 import Int8Linear, quantised
from polyrank.encoders.masked import MaskedEncoder
from polyrank.encoders.precision import FP32, PRECISIONS, as_precision
from polyrank.errors import UsageError
from polyrank.notes import Notebook

CPU = torch.device("cpu")


def test_names_of_precisions():
    assert as_precision(None) == as_precision("float32") == FP32
    assert as_precision("bfloat16").dtype == torch.bfloat16
    assert FP32.identity() == {} and as_precision("int8").identity() == {"precision": "int8"}
    with pytest.raises(UsageError, match="fp32, bf16, fp16, int8, auto"):
        as_precision("int4")


def test_an_8_bit_layer_by_hand():
    linear = nn.Linear(2, 1)
    linear.weight.data, linear.bias.data = torch.tensor([[1.0, -0.5]]), torch.tensor([2.0])
    x = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    for layer in (Int8Linear(linear, None, False), Int8Linear(linear, torch.ones(2), True)):
        # -0.5 is 31.5 of 63 levels: at most half a level off, and an input half of 1/255
        assert (layer(x).squeeze(1) - torch.tensor([2.5, 1.5])).abs().max() < 0.02


@pytest.mark.parametrize("by_token", [False, True])
def test_sums_do_not_overflow_16_bits(by_token):
    linear = nn.Linear(64, 8, bias=False)
    nn.init.ones_(linear.weight)
    found = Int8Linear(linear, None, by_token)(torch.full((3, 64), 7.0))
    torch.testing.assert_close(found, torch.full((3, 8), 448.0), rtol=0.01, atol=0)


def test_an_8_bit_encoder_is_near_and_shares_all_tensors(tiny_base):
    model = tiny_base.model
    ids = torch.arange(5, 25).remainder(model.config.vocab_size).view(2, 10)
    small = quantised(model, tiny_base.tokenizer)
    assert {id(p) for p in small.parameters()} == {id(p) for p in model.parameters()}
    assert not any(isinstance(module, Int8Linear) for module in model.modules())
    with torch.inference_mode():
        far = small(input_ids=ids).last_hidden_state - model(input_ids=ids).last_hidden_state
    assert far.abs().mean() < 0.05  # states are normalised to a deviation of 1


def test_masks_act_on_8_bit_weights_and_come_off(tiny_base, monkeypatch):
    from pathlib import Path

    from polyrank.modules.mask.sparse import SparseDifference

    name = "encoder.layer.0.output.dense.weight"
    shape = tuple(tiny_base.model.get_parameter(name).shape)
    mask = {name: SparseDifference(shape, torch.tensor([0]), torch.tensor([50.0]))}
    monkeypatch.setattr(MaskedEncoder, "_load", lambda self, folder: mask)
    masked = MaskedEncoder(tiny_base.model, CPU, PRECISIONS["int8"], tiny_base.tokenizer)
    x = torch.ones(1, shape[1])
    layer = masked.encoder.encoder.layer[0].output.dense
    with masked.under(()):
        before = layer(x)
    with masked.under((Path("mask"),)):
        assert float((layer(x) - before)[0, 0]) == pytest.approx(50, rel=0.05)
    with masked.under(()):
        assert torch.equal(layer(x), before)


def test_auto_is_fp32_where_nothing_was_measured(tiny_base):
    notebook = Notebook()
    assert settled("auto", PAIRS, tiny_base, tiny_base.model, CPU, notebook) == FP32
    assert "fp32, as nothing" in str(*notebook.notes)


@pytest.mark.parametrize(("loss", "chosen"), [(0.004, "int8"), (0.006, "fp32")])
def test_auto_takes_the_fastest_that_is_harmless(tiny_base, monkeypatch, tmp_path, loss, chosen):
    monkeypatch.setenv("POLYRANK_CACHE", str(tmp_path))
    monkeypatch.setattr(fastest, "losses", lambda base, family: {"int8": {"en": 0.0, "sw": loss}})
    monkeypatch.setattr(fastest, "timed", lambda *_: {"fp32": 2.0, "int8": 1.0})
    found = settled("auto", PAIRS, tiny_base, tiny_base.model, CPU, Notebook())
    assert found.name == chosen
    kept = tmp_path / "precision.json"
    assert kept.exists() == (chosen == "int8")
    if kept.exists():
        assert list(json.loads(kept.read_text()).values()) == [{"fp32": 2.0, "int8": 1.0}]


def test_a_first_ranking_says_what_auto_chose(tiny_folder, tiny_zoo):
    from polyrank import Reranker
    from polyrank.collections.records import Document, Query
    from polyrank.rerankers.base import Request

    reranker = Reranker(str(tiny_folder), ranking="squad", zoo=tiny_zoo, precision="auto")
    request = Request(Query("q", "ice", "en"), (Document("d", "salt", language="en"),))
    first, second = reranker.rank_all([request, request])
    assert any("precision auto: fp32" in str(note) for note in first.notes)
    assert not any("precision auto" in str(note) for note in second.notes)
