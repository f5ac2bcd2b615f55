"""Checkpoints of PyLate and Stanford ColBERT, written here by hand, give the vectors that those
systems' own steps give."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from polyrank.errors import ModuleError
from polyrank.late_interaction.model import LateInteraction

DIM = 8


@pytest.fixture(scope="module")
def weight():
    return torch.randn(DIM, 32, generator=torch.Generator().manual_seed(4))


def write(path, record):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record))


@pytest.fixture(scope="module")
def pylate(tiny_bert, weight, tmp_path_factory):
    """PyLate's layout over the tiny BERT, with its two markers as entries of the vocabulary."""
    from safetensors.torch import save_file
    from transformers import AutoModel, AutoTokenizer

    folder = tmp_path_factory.mktemp("pylate")
    model = AutoModel.from_pretrained(tiny_bert, add_pooling_layer=False)
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    tokenizer.add_tokens(["[Q] ", "[D] "])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ])  # fmt: skip
    write(folder / "config_sentence_transformers.json", {
        "query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 10,
        "document_length": 12, "attend_to_expansion_tokens": False, "do_query_expansion": True,
        "skiplist_words": ["c"],
    })  # fmt: skip
    write(folder / "1_Dense" / "config.json", {
        "in_features": 32, "out_features": DIM, "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    })  # fmt: skip
    save_file({"linear.weight": weight}, folder / "1_Dense" / "model.safetensors")
    return folder


def stanford(folder, base_folder, prefix, weight, **settings):
    """An `HF_ColBERT` checkpoint: the encoder under its prefix, the projection beside it."""
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(base_folder, add_pooling_layer=False)
    AutoTokenizer.from_pretrained(base_folder).save_pretrained(folder)
    config = AutoConfig.from_pretrained(base_folder)
    config.architectures = ["HF_ColBERT"]
    config.save_pretrained(folder)
    tensors = {f"{prefix}.{k}": v.contiguous() for k, v in model.state_dict().items()}
    save_file(tensors | {"linear.weight": weight}, folder / "model.safetensors", {"format": "pt"})
    record = {"query_maxlen": 10, "doc_maxlen": 12, "dim": DIM, "similarity": "cosine",
              "mask_punctuation": True, "attend_to_mask_tokens": True, **settings}  # fmt: skip
    write(folder / "artifact.metadata", record)
    return model


def by_hand(model, weight, ids, attention=None, **extra):
    ids = torch.tensor([ids])
    mask = torch.ones_like(ids) if attention is None else torch.tensor([attention])
    with torch.no_grad():
        hidden = model(ids, attention_mask=mask, **extra).last_hidden_state[0]
    return normalize(hidden @ weight.T, dim=1)


def test_pylate_vectors(pylate, weight):
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(pylate, add_pooling_layer=False).eval()
    token = AutoTokenizer.from_pretrained(pylate).convert_tokens_to_ids
    scorer = LateInteraction(ranking=str(pylate), device="cpu")
    mask, cls, sep = token("[MASK]"), token("[CLS]"), token("[SEP]")
    query = [cls, token("[Q] "), token("a"), token("##b"), sep, *[mask] * 5]
    expected = by_hand(model, weight, query, [1] * 5 + [0] * 5)
    assert torch.allclose(scorer.encode_queries(["ab"])[0], expected, atol=1e-5)
    document = [cls, token("[D] "), token("a"), token("c"), token("b"), sep]
    expected = by_hand(model, weight, document)[[0, 1, 2, 4, 5]]  # c is on the skip-list
    assert torch.allclose(scorer.encode_documents(["a c b"])[0], expected, atol=1e-5)
    assert len(scorer.encode_documents(["a " * 40])[0]) == 12
    assert scorer.rank("ab", ["ab", "c"])[0].score > 0


def test_stanford_vectors(tiny_bert, weight, tmp_path):
    from transformers import AutoTokenizer

    model = stanford(tmp_path, tiny_bert, "bert", weight, query_token_id="x", doc_token_id="y")
    token = AutoTokenizer.from_pretrained(tiny_bert).convert_tokens_to_ids
    scorer = LateInteraction(ranking=str(tmp_path), device="cpu")
    cls, sep, mask = token("[CLS]"), token("[SEP]"), token("[MASK]")
    query = [cls, token("x"), token("a"), sep, *[mask] * 6]
    expected = by_hand(model, weight, query)  # mask tokens are attended to
    assert torch.allclose(scorer.encode_queries(["a"])[0], expected, atol=1e-5)
    document = [cls, token("y"), token("a"), token("b"), sep]
    expected = by_hand(model, weight, document)
    assert torch.allclose(scorer.encode_documents(["a b"])[0], expected, atol=1e-5)


def test_a_stanford_checkpoint_over_xmod_encodes_each_text_in_its_language(
    tiny_xmod, weight, tmp_path
):
    """ColBERT-XM: its vocabulary lacks the markers, so both are <unk>, as it was trained."""
    model = stanford(tmp_path, tiny_xmod, "roberta", weight)
    scorer = LateInteraction(ranking=str(tmp_path), device="cpu")
    token = scorer.base.tokenizer.convert_tokens_to_ids
    ids = [token("<s>"), token("<unk>"), token("▁"), token("a"), token("b"), token("</s>")]
    assert token("a") not in scorer.rules.skip_ids  # '▁' begins every ASCII mark in this vocabulary
    for place, tag in enumerate(("en", "de", "fi", "ky")):
        expected = by_hand(model, weight, ids, lang_ids=torch.tensor([place]))
        (found,) = scorer.encode_documents(["ab"], tag)
        keep = [number not in scorer.rules.skip_ids for number in ids]
        assert torch.allclose(found, expected[keep], atol=1e-5)


def test_pylate_layout_round_trip(tiny_bert, weight, tmp_path):
    """Markers beyond the vocabulary become entries of it, and nothing else changes."""
    from polyrank.base import load_base
    from polyrank.late_interaction.checkpoints import Checkpoint, read_checkpoint, write_pylate
    from polyrank.modules.projection import Projection
    from polyrank.training.late_interaction.token_model import default_rules

    base = load_base(str(tiny_bert))
    rules = default_rules(base, dim=DIM, query_length=10, document_length=12, augment_to=10)
    markers = torch.randn(2, 32, generator=torch.Generator().manual_seed(6))
    (tmp_path / "one").mkdir()
    write_pylate(
        Checkpoint(base.model, base.tokenizer, Projection(rules, weight, None, markers)),
        tmp_path / "one",
    )
    scorer = LateInteraction(ranking=str(tmp_path / "one"), device="cpu")
    table = read_checkpoint(tmp_path / "one").encoder.get_input_embeddings().weight
    assert torch.equal(table[[scorer.rules.query_marker, scorer.rules.document_marker]], markers)
    scorer.export_pylate(tmp_path / "two")
    again = LateInteraction(ranking=str(tmp_path / "two"), device="cpu")
    assert again.rules == scorer.rules
    for one, two in zip(
        scorer.encode_documents(["ab c", "d"]), again.encode_documents(["ab c", "d"]), strict=True
    ):
        assert torch.equal(one, two)


def test_what_pylate_cannot_hold_is_refused(tiny_xmod, tiny_bert, weight, tmp_path):
    from polyrank.base import load_base
    from polyrank.late_interaction.checkpoints import Checkpoint, write_pylate
    from polyrank.modules.projection import Projection
    from polyrank.training.late_interaction.token_model import default_rules

    base = load_base(str(tiny_bert))
    rules = default_rules(base, dim=DIM, query_length=10, augment_to=4)
    with pytest.raises(ModuleError, match="one length for both"):
        write_pylate(Checkpoint(base.model, base.tokenizer, Projection(rules, weight)), tmp_path)
    xmod = load_base(str(tiny_xmod))
    projection = Projection(replace(rules, augment_to=10), weight)
    with pytest.raises(ModuleError, match="no language"):
        write_pylate(Checkpoint(xmod.model, xmod.tokenizer, projection), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("1_Dense/config.json", {"activation_function": "torch.nn.Tanh"}, "'Tanh'"),
        ("config_sentence_transformers.json", {"query_prefix": "[Z] "}, r"'\[Z\] ' is not in"),
        ("1_Dense/config.json", None, "cannot be read"),
    ],
)
def test_a_checkpoint_that_is_computed_otherwise_is_refused(
    pylate, tmp_path, file, change, message
):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(pylate, folder)
    path = folder / file
    if change is None:
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModuleError, match=message):
        LateInteraction(ranking=str(folder), device="cpu")


def test_another_similarity_is_refused(tiny_bert, weight, tmp_path):
    stanford(tmp_path, tiny_bert, "bert", weight, similarity="l2")
    with pytest.raises(ModuleError, match="'l2'"):
        LateInteraction(ranking=str(tmp_path), device="cpu")
