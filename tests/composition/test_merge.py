"""Merging: the checkpoint scores as the composition does, without polyrank."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from polyrank import Reranker
from polyrank.base import Fingerprint
from polyrank.composition.merge import merge
from polyrank.composition.plan import compose
from polyrank.errors import CompositionError, ModuleError
from polyrank.modules.mask.mask_folder import load_mask_module
from polyrank.modules.mask.sparse import applied


@pytest.mark.parametrize("routing", ["none", "document", "both"])
def test_the_checkpoint_scores_as_the_reranker(tiny_base, mask_zoo, tmp_path, as_it_was, routing):
    unchanged = as_it_was(tiny_base.model)
    plan = compose(tiny_base, "squad", "ky", "tr", routing=routing, kind="mask", zoo=mask_zoo)
    folder = merge(plan, tiny_base, tmp_path / "merged", mask_zoo).folder
    assert unchanged()

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.num_labels == 1
    passages = ["a b c d", "fgh ij", "ab ba abc bca"]
    inputs = tokenizer(["abc de"] * 3, passages, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits.squeeze(1).tolist()
    hits = Reranker(tiny_base, kind="mask", routing=routing, zoo=mask_zoo).rank(
        "abc de", passages, "ky", "tr"
    )
    found = {hit.document_id: hit.score for hit in hits}
    assert [found[str(i)] for i in range(3)] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("scale", "dtype"), [(1, torch.float16), (1e7, torch.float32)])
def test_half_the_bytes_where_scores_agree(
    tiny_base, mask_zoo, tmp_path, scale, dtype, monkeypatch
):
    """Weights beyond fp16 keep the whole; what is written is what was compared."""
    from polyrank.composition import merge as module

    plan = compose(tiny_base, "squad", "ky", "tr", routing="both", kind="mask", zoo=mask_zoo)
    pairs = dict(tiny_base.tokenizer(["ab c"] * 3, ["a", "fgh", "b"], padding=True,
                                     return_tensors="pt"))  # fmt: skip
    real = module.classifier

    def scaled(*parts):
        model = real(*parts)
        with torch.no_grad():
            module.head_linears(model)[1].weight.mul_(scale)
        return model

    monkeypatch.setattr(module, "classifier", scaled)
    whole = merge(plan, tiny_base, tmp_path / "whole", mask_zoo)
    half = merge(plan, tiny_base, tmp_path / "half", mask_zoo, probe=[pairs])
    assert whole.stored is None and half.stored is not None
    assert half.stored.dtype == str(dtype).removeprefix("torch.")

    def read(folder):
        return AutoModelForSequenceClassification.from_pretrained(folder, dtype="auto").eval()

    assert read(whole.folder).dtype == torch.float32 and read(half.folder).dtype == dtype
    with torch.no_grad():
        wanted, found = (read(m.folder).float()(**pairs).logits for m in (whole, half))
    difference = float((found - wanted).abs().max() / wanted.std())
    assert difference < 0.02
    if dtype == torch.float16:
        assert difference == pytest.approx(half.stored.difference, abs=1e-5)


def test_without_a_ranking_module_it_is_the_encoder(tiny_base, mask_zoo, tmp_path):
    plan = compose(tiny_base, None, document_language="fi", kind="mask", zoo=mask_zoo)
    merged = AutoModel.from_pretrained(
        merge(plan, tiny_base, tmp_path / "fi", mask_zoo).folder, add_pooling_layer=False
    )
    mask = load_mask_module(mask_zoo / tiny_base.name / "language" / "mask" / "fi")
    with applied(tiny_base.model, mask.differences):
        for name, tensor in tiny_base.model.state_dict().items():
            assert torch.equal(tensor, merged.state_dict()[name])


def test_adapters_are_no_part_of_the_weights(tiny_base, tiny_zoo, mask_zoo, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    for kind, ranking_kind in (("adapter", "adapter"), ("mask", "adapter"), ("adapter", "mask")):
        plan = compose(
            tiny_base, "squad", "ky", "en", kind=kind, ranking_kind=ranking_kind, zoo=mask_zoo
        )
        with pytest.raises(CompositionError, match="only masks can be merged"):
            merge(plan, tiny_base, tmp_path / "merged", mask_zoo)
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_leaves_the_folder_alone(tiny_base, mask_zoo, tmp_path):
    plan = compose(tiny_base, "squad", routing="none", kind="mask", zoo=mask_zoo)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ModuleError, match="exists already"):
        merge(plan, tiny_base, tmp_path, mask_zoo)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    other = replace(plan, fingerprint=Fingerprint("0" * 16, "1" * 16))
    with pytest.raises(CompositionError, match="is for the base"):
        merge(other, tiny_base, tmp_path / "merged", mask_zoo)
