"""Fingerprints of any architecture: all weights count, and those of encoders are as ever."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch

from polyrank.base import fingerprint_of, load_base

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
ROBERTA = {**SIZES, "type_vocab_size": 1, "pad_token_id": 1}
XMOD = {**ROBERTA, "languages": ["en_XX", "de_DE"]}
T5 = {"vocab_size": 40, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}

# Class, config, sizes, and what the function of before gave for these weights: saved modules carry
# such values. Poolers and heads never counted.
ENCODERS = [
    ("BertModel", "BertConfig", SIZES, "d277951d7604fd75"),
    ("BertForMaskedLM", "BertConfig", SIZES, "d277951d7604fd75"),
    ("BertForSequenceClassification", "BertConfig", SIZES, "d277951d7604fd75"),
    ("XLMRobertaModel", "XLMRobertaConfig", ROBERTA, "629d7cb4a8ccf65f"),
    ("XLMRobertaForMaskedLM", "XLMRobertaConfig", ROBERTA, "629d7cb4a8ccf65f"),
    ("XLMRobertaForSequenceClassification", "XLMRobertaConfig", ROBERTA, "629d7cb4a8ccf65f"),
    ("RobertaModel", "RobertaConfig", ROBERTA, "629d7cb4a8ccf65f"),
    ("CamembertModel", "CamembertConfig", ROBERTA, "629d7cb4a8ccf65f"),
    ("XmodModel", "XmodConfig", XMOD, "124001935142f5c9"),
    ("XmodForMaskedLM", "XmodConfig", XMOD, "124001935142f5c9"),
]
OTHERS = [
    ("LlamaModel", "LlamaForCausalLM", "LlamaConfig", SIZES),
    ("Qwen2Model", "Qwen2ForCausalLM", "Qwen2Config", {**SIZES, "num_key_value_heads": 2}),
    ("Qwen3Model", "Qwen3ForCausalLM", "Qwen3Config", {**SIZES, "num_key_value_heads": 2}),
    ("T5Model", "T5ForConditionalGeneration", "T5Config", T5),
]


class Vocabulary:
    def get_vocab(self):
        return {"a": 0, "b": 1}


def model_of(name, config, sizes):
    """A model whose weights are a formula of their place, so that no generator matters."""
    import transformers

    model = getattr(transformers, name)(getattr(transformers, config)(**sizes)).eval()
    with torch.no_grad():
        for tensor in model.parameters():
            steps = torch.arange(tensor.numel(), dtype=torch.float32).remainder(17)
            tensor.copy_((steps / 16 - 0.5).view(tensor.shape))  # exact in fp16
    return model


def weights_of(model):
    return fingerprint_of(model, Vocabulary()).weights


@pytest.mark.parametrize(("name", "config", "sizes", "expected"), ENCODERS)
def test_encoders_have_the_fingerprints_of_before(name, config, sizes, expected):
    model = model_of(name, config, sizes)
    assert weights_of(model) == expected
    if hasattr(model.base_model, "pooler"):
        model.base_model.pooler = None
        assert weights_of(model) == expected


@pytest.mark.parametrize(("name", "headed", "config", "sizes"), OTHERS)
def test_every_weight_of_a_decoder_counts(name, headed, config, sizes):
    model = model_of(name, config, sizes)
    fingerprint = weights_of(model)
    assert weights_of(copy.deepcopy(model)) == fingerprint
    assert weights_of(copy.deepcopy(model).half()) == fingerprint
    assert weights_of(model_of(headed, config, sizes)) == fingerprint  # the head does not count
    for key, parameter in model.named_parameters():
        with torch.no_grad():
            before = parameter.view(-1)[0].item()
            parameter.view(-1)[0] = before + 1
            assert weights_of(model) != fingerprint, key
            parameter.view(-1)[0] = before
    assert weights_of(model) == fingerprint


def test_architectures_differ():
    found = [weights_of(model_of(name, config, sizes)) for name, _, config, sizes in OTHERS]
    assert len(set(found)) == len(found)


def test_a_decoder_is_a_base(tiny_xlmr, tmp_path):
    """Loaded like any other; what cannot be done with it is said where it is tried."""
    from transformers import AutoTokenizer

    from polyrank.encoders.masked import WholeEncoder
    from polyrank.encoders.routed import RoutedEncoder
    from polyrank.errors import CompositionError

    tokenizer = AutoTokenizer.from_pretrained(tiny_xlmr)
    model = model_of("LlamaModel", "LlamaConfig", {**SIZES, "vocab_size": len(tokenizer)})
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    base = load_base(str(tmp_path))
    assert base.fingerprint == fingerprint_of(model, tokenizer)
    for runner in (partial(RoutedEncoder, languages=[]), WholeEncoder):
        with pytest.raises(CompositionError, match="type 'llama'"):
            runner(base.model)


@pytest.mark.parametrize(("name", "headed", "config", "sizes"), OTHERS)
def test_no_decoder_is_run_as_an_encoder(name, headed, config, sizes):
    """Its first token, which a head reads, sees no other, so that all scores would be equal."""
    from polyrank.encoders.masked import WholeEncoder
    from polyrank.errors import CompositionError

    with pytest.raises(CompositionError, match="every token sees all others"):
        WholeEncoder(model_of(name, config, sizes))
