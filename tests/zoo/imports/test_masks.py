"""Masks of composable-sft in the zoo: the same weights as the published library would set."""

import pytest
import torch

from polyrank.errors import ModuleError, UsageError
from polyrank.modules.card import UNVERIFIED
from polyrank.modules.mask.mask_folder import load_mask_module
from polyrank.modules.mask.sparse import SparseDifference, applied
from polyrank.zoo.imports.composable_sft import SparseFineTuning, read_sft, write_sft
from polyrank.zoo.imports.imported import export_module, import_module


def sparse(tensor, seed, share=0.2):
    generator = torch.Generator().manual_seed(seed)
    chosen = (torch.rand(tensor.numel(), generator=generator) < share).nonzero().squeeze(1)
    values = torch.randn(len(chosen), generator=generator)
    return SparseDifference(tuple(tensor.shape), chosen, values)


@pytest.fixture
def prefix(tiny_base):
    return {"bert": "bert.", "xlm-roberta": "roberta."}[tiny_base.model.config.model_type]


@pytest.fixture
def sft(tiny_base, prefix):
    """Differences to two tensors of the encoder and the pooler, and an MLM head's bias."""
    weights = dict(tiny_base.model.named_parameters())
    names = ["embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.weight"]
    differences = {f"{prefix}{n}": sparse(weights[n], i) for i, n in enumerate(names)}
    differences[f"{prefix}pooler.dense.bias"] = sparse(torch.zeros(32), 5)
    return SparseFineTuning(differences, {"cls.predictions.bias": torch.ones(5)})


@pytest.fixture
def folder(sft, tmp_path):
    (tmp_path / "theirs").mkdir()
    write_sft(tmp_path / "theirs" / "pytorch_diff.bin", sft)
    return tmp_path / "theirs"


def test_a_language_mask_changes_the_encoder_as_published(
    folder, sft, prefix, tiny_base, tiny_folder, tmp_path
):
    done = import_module(str(folder), tmp_path / "zoo", "ky", base=str(tiny_folder))
    assert done.card.full_name == f"{tiny_base.name}/language/mask/ky"
    assert done.card.base_fingerprint == UNVERIFIED
    assert any(f"{prefix}pooler.dense.bias" in n and "left out" in n for n in done.notes)
    assert any("cls.predictions.bias" in n and "left out" in n for n in done.notes)
    before = {n: p.clone() for n, p in tiny_base.model.named_parameters()}
    with applied(tiny_base.model, load_mask_module(done.folder).differences):
        for name, weight in tiny_base.model.named_parameters():
            difference = sft.differences.get(f"{prefix}{name}")
            dense = difference.dense() if difference else torch.zeros_like(weight)
            assert torch.equal(weight, before[name] + dense)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_out_and_in_again_leaves_every_bit(
    folder, sft, tiny_folder, tiny_base, tmp_path, monkeypatch, dtype
):
    halved = {
        n: SparseDifference(d.shape, d.indices, d.values.to(dtype))
        for n, d in sft.differences.items()
    }
    write_sft(folder / "pytorch_diff.bin", SparseFineTuning(halved, {}))
    first = import_module(str(folder), tmp_path / "a", "ky", base=str(tiny_folder))
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_folder.parent.parent))
    exported = export_module(first.folder, tmp_path / "out")
    second = import_module(str(exported), tmp_path / "b", "ky", base=str(tiny_folder))
    one, other = (load_mask_module(done.folder).differences for done in (first, second))
    assert set(one) == set(other) and len(one) == 2
    for name in one:
        assert torch.equal(one[name].indices, other[name].indices)
        assert torch.equal(one[name].values, other[name].values)
        assert one[name].values.dtype == other[name].values.dtype == dtype


def test_a_ranking_mask_needs_its_head(folder, sft, prefix, tiny_folder, tmp_path):
    options = {"language": "en", "role": "ranking", "name": "marco", "base": str(tiny_folder)}
    with pytest.raises(ModuleError, match="so it cannot rank"):
        import_module(str(folder), tmp_path / "zoo", **options)
    inner, outer = {
        "bert.": ("bert.pooler.dense", "classifier"),
        "roberta.": ("classifier.dense", "classifier.out_proj"),
    }[prefix]
    head = {
        **{f"{inner}.weight": torch.randn(32, 32), f"{inner}.bias": torch.randn(32)},
        **{f"{outer}.weight": torch.randn(1, 32), f"{outer}.bias": torch.randn(1)},
    }
    write_sft(folder / "pytorch_diff.bin", SparseFineTuning(sft.differences, head))
    done = import_module(str(folder), tmp_path / "zoo", **options)
    layers = load_mask_module(done.folder).head.layers
    for place, (weight, bias) in zip((inner, outer), layers, strict=True):
        assert torch.equal(weight, head[f"{place}.weight"])
        assert torch.equal(bias, head[f"{place}.bias"])


def test_a_mask_says_no_base_so_the_user_must(folder, tmp_path):
    with pytest.raises(UsageError, match="does not say for which base"):
        import_module(str(folder), tmp_path / "zoo", "ky")


def test_what_does_not_fit_the_base_is_refused(folder, sft, tiny_folder, tiny_base, tmp_path):
    names = list(sft.differences)
    before = {n: p.clone() for n, p in tiny_base.model.named_parameters()}
    wrong = SparseDifference((7, 7), torch.tensor([3]), torch.tensor([1.0]))
    for bad in ({names[0]: wrong}, {f"{names[1]}.no": wrong}):
        write_sft(folder / "pytorch_diff.bin", SparseFineTuning({**sft.differences, **bad}, {}))
        with pytest.raises(ModuleError, match="this base"):
            import_module(str(folder), tmp_path / "zoo", "ky", base=str(tiny_folder))
    assert not (tmp_path / "zoo").exists()
    assert all(torch.equal(p, before[n]) for n, p in tiny_base.model.named_parameters())


def test_an_export_keeps_the_head_in_abs(folder, prefix, tiny_folder, tmp_path):
    head = {"classifier.weight": torch.randn(1, 32), "classifier.bias": torch.randn(1)}
    if prefix == "bert.":
        head |= {
            "bert.pooler.dense.weight": torch.eye(32),
            "bert.pooler.dense.bias": torch.ones(32),
        }
    else:
        head = {
            f"classifier.{p}": torch.randn(32 if p == "dense.bias" else (32, 32))
            for p in ("dense.weight", "dense.bias")
        } | {
            "classifier.out_proj.weight": torch.randn(1, 32),
            "classifier.out_proj.bias": torch.randn(1),
        }
    write_sft(
        folder / "pytorch_diff.bin",
        SparseFineTuning(read_sft(folder / "pytorch_diff.bin").differences, head),
    )
    done = import_module(str(folder), tmp_path / "zoo", "en", "ranking", "marco", str(tiny_folder))
    exported = export_module(done.folder, tmp_path / "out", base=str(tiny_folder))
    found = read_sft(exported / "pytorch_diff.bin").absolute
    assert set(found) == set(head) and all(torch.equal(found[n], head[n]) for n in head)
