"""The default base, converted for real from the package that carries its weights."""

import warnings

import pytest
import torch

from polyrank.base import e5_small, fingerprint_of, load_base
from polyrank.base.e5_small import converted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYRANK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("POLYRANK_ZOO", raising=False)
        yield load_base("e5-small")


def test_sizes_and_card(base):
    assert base.name == "e5-small"
    assert base.fingerprint == e5_small.FINGERPRINT == fingerprint_of(base.model, base.tokenizer)
    assert sum(p.numel() for p in base.model.parameters()) == pytest.approx(117.4e6, rel=0.01)
    assert (base.card.query_prefix, base.card.passage_prefix) == ("query: ", "passage: ")


def test_the_tokenizer_is_that_of_xlm_r(base):
    # ids as published with XLM-R
    assert base.tokenizer("Hello world")["input_ids"] == [0, 35378, 8999, 2]
    assert base.tokenizer("a", "b")["input_ids"][2:4] == [2, 2]


def test_a_question_is_nearest_to_its_answer_in_another_language(base):
    texts = [
        "query: Suyun kaynama noktası kaç derecedir?",
        "passage: Water boils at 100 degrees Celsius at sea level.",
        "passage: The Ottoman Empire lasted for over six hundred years.",
    ]
    encoded = base.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = base.model(**encoded).last_hidden_state
    mask = encoded["attention_mask"][..., None]
    question, right, wrong = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1))
    assert question @ right > question @ wrong + 0.02


def test_it_is_made_once_and_is_a_plain_folder(base, caplog):
    from transformers import AutoModel, AutoTokenizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYRANK_CACHE", str(base.folder).split("/bases/")[0])
        before = (converted() / "model.safetensors").stat().st_mtime_ns
        assert (converted() / "model.safetensors").stat().st_mtime_ns == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AutoModel.from_pretrained(base.folder)
        AutoTokenizer.from_pretrained(base.folder)
    assert caplog.text == ""
