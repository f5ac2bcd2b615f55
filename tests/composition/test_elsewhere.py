"""What TEI, vLLM and Elasticsearch read of an exported checkpoint is there, and scores are ours."""

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from polyrank import load_reranker
from polyrank.composition.merge import merge
from polyrank.composition.plan import compose

ARCHITECTURES = {
    "bert": "BertForSequenceClassification",
    "xlm-roberta": "XLMRobertaForSequenceClassification",
}
PASSAGES = ["a b c d", "fgh ij", "ab ba abc bca", "f " * 40]


@pytest.fixture
def exported(tiny_base, mask_zoo, tmp_path):
    plan = compose(tiny_base, "squad", "ky", "tr", routing="both", kind="mask", zoo=mask_zoo)
    return merge(plan, tiny_base, tmp_path / "merged", mask_zoo).folder


def test_the_configuration_says_what_servers_ask(exported):
    config = json.loads((exported / "config.json").read_text())
    assert config["architectures"] == [ARCHITECTURES[config["model_type"]]]
    # One label makes it a reranker: TEI and vLLM count this, not `num_labels`.
    assert config["id2label"] == {"0": "LABEL_0"} and config["label2id"] == {"LABEL_0": 0}
    for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                 "intermediate_size", "max_position_embeddings", "type_vocab_size", "hidden_act",
                 "layer_norm_eps", "pad_token_id"):  # fmt: skip
        assert name in config
    assert "auto_map" not in config
    names = {path.name for path in exported.iterdir()}
    assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names


def test_plain_transformers_gives_our_scores(exported):
    """As TEI and vLLM do: pairs tokenised by tokenizer.json, the first token's head, no sigmoid."""
    model = AutoModelForSequenceClassification.from_pretrained(exported).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    inputs = tokenizer(
        ["abc de"] * len(PASSAGES), PASSAGES, padding=True, truncation="longest_first",
        max_length=32, return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        expected = model(**inputs).logits[:, 0].tolist()
    hits = load_reranker(exported, max_length=32).rank("abc de", PASSAGES)
    found = [hit.score for hit in sorted(hits, key=lambda hit: int(hit.document_id))]
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_trace_scores_alike(exported):
    """Elasticsearch runs a trace of the model over ids, mask, token types and positions."""
    model = AutoModelForSequenceClassification.from_pretrained(
        exported, attn_implementation="eager", torchscript=True
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    first, second = (tokenizer("abc de", text, return_tensors="pt") for text in PASSAGES[:2])
    with torch.no_grad():
        traced = torch.jit.trace(model, (first["input_ids"], first["attention_mask"]))
        for inputs in (first, second):
            pair = inputs["input_ids"], inputs["attention_mask"]
            assert torch.allclose(traced(*pair)[0], model(*pair)[0], atol=1e-5)
