"""Importing from the Hub: only the files of the format are fetched; offline, what was fetched."""

import pytest
import torch

from polyrank.errors import HubError, ModuleError
from polyrank.modules.adapter.adapter_folder import load_adapter_module, read_adapter
from polyrank.modules.mask.mask_folder import load_mask_module
from polyrank.modules.mask.sparse import SparseDifference
from polyrank.zoo.imports.composable_sft import SparseFineTuning, write_sft
from polyrank.zoo.imports.imported import import_module


@pytest.fixture
def adapter(tiny_bert, adapter_model, randomise, tmp_path):
    """A folder as the library writes it, with a file that no import needs."""
    model = adapter_model(tiny_bert)
    model.add_adapter("ky", config="seq_bn_inv")
    randomise(model, "ky")
    model.save_adapter(str(tmp_path / "ky"), "ky")
    (tmp_path / "ky" / "optimizer.pt").write_bytes(b"x" * 100)
    return tmp_path / "ky"


@pytest.mark.parametrize("path", ["", "adapters/ky"])
def test_an_adapter_of_the_hub(hub, adapter, tiny_bert, tmp_path, path):
    hub.add("org/wiki", adapter, path)
    source = f"org/wiki/{path}".rstrip("/")
    done = import_module(source, tmp_path / "zoo", "ky", base=str(tiny_bert))
    assert done.card.recipe["imported from"] == source
    theirs, ours = read_adapter(adapter), load_adapter_module(done.folder)
    assert torch.equal(theirs.output[1].up[0], ours.output[1].up[0])
    fetched = [place for method, place, _ in hub.requests if "/resolve/" in place]
    assert any("pytorch_adapter.bin" in place for place in fetched)
    assert not any("optimizer.pt" in place for place in fetched)


def test_where_there_are_safetensors_the_pickle_is_left(hub, adapter, tiny_bert, tmp_path):
    from safetensors.torch import save_file

    tensors = torch.load(adapter / "pytorch_adapter.bin", weights_only=True)
    save_file(tensors, adapter / "adapter.safetensors")
    hub.add("org/wiki", adapter)
    import_module("org/wiki", tmp_path / "zoo", "ky", base=str(tiny_bert))
    assert not any("pytorch_adapter.bin" in place for _, place, _ in hub.requests)


def test_what_was_fetched_is_imported_offline(hub, adapter, tiny_bert, tmp_path, offline):
    hub.add("org/wiki", adapter)
    first = import_module("org/wiki", tmp_path / "a", "ky", base=str(tiny_bert))
    offline()
    hub.requests.clear()
    second = import_module("org/wiki", tmp_path / "b", "ky", base=str(tiny_bert))
    assert first.card.files == second.card.files and not hub.requests


def test_a_mask_of_the_hub(hub, tiny_base, tiny_folder, tmp_path):
    prefix = {"bert": "bert.", "xlm-roberta": "roberta."}[tiny_base.model.config.model_type]
    name = "encoder.layer.0.output.dense.bias"
    mask = SparseDifference((32,), torch.tensor([3, 9]), torch.tensor([1.0, -2.0]))
    (tmp_path / "sft").mkdir()
    write_sft(tmp_path / "sft" / "pytorch_diff.bin", SparseFineTuning({prefix + name: mask}, {}))
    hub.add("org/lang-sft-ky-small", tmp_path / "sft")
    done = import_module("org/lang-sft-ky-small", tmp_path / "zoo", "ky", base=str(tiny_folder))
    found = load_mask_module(done.folder).differences
    assert list(found) == [name] and found[name].indices.tolist() == [3, 9]


def test_what_the_hub_does_not_have(hub, adapter, tmp_path):
    with pytest.raises(HubError, match="cannot fetch 'org/none'"):
        import_module("org/none", tmp_path / "zoo", "ky")
    (tmp_path / "readme").mkdir()
    (tmp_path / "readme" / "README.md").write_text("nothing")
    hub.add("org/readme", tmp_path / "readme")
    with pytest.raises(ModuleError, match="is not a module that polyrank reads"):
        import_module("org/readme", tmp_path / "zoo", "ky")
    assert not (tmp_path / "zoo").exists()
