"""A module that lacks a part, or holds no numbers, is refused: by import, by verify, in use."""

import json
import math
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from polyrank import zoo
from polyrank.errors import ModuleError
from polyrank.modules.adapter.adapter_folder import read_adapter
from polyrank.modules.card import ModuleCard, read_card, write_card
from polyrank.modules.soundness import check_safetensors
from polyrank.zoo.imports.imported import import_module

FILE = "adapter.safetensors"


def without(part):
    return lambda tensors: {name: value for name, value in tensors.items() if part not in name}


def with_value(value, dtype):
    def change(tensors):
        name = sorted(tensors)[0]
        changed = tensors[name].clone()
        changed.view(-1)[-1] = value
        return {**tensors, name: changed.to(dtype)}

    return change


DAMAGE = {
    "no invertible layer": (without("invertible"), "lacks its invertible layer"),
    "no layer 1": (without("layer.1."), "lacks the one of layer 1"),
    "no last layer": (without("layer.2."), "layers? (2|.0, 1.)"),
    "NaN": (with_value(math.nan, torch.float32), "not finite"),
    "infinity in fp16": (with_value(math.inf, torch.float16), "not finite"),
    "NaN in bfloat16": (with_value(math.nan, torch.bfloat16), "not finite"),
}


@pytest.fixture
def damaged(tiny_bert, tiny_zoo_of_bert, tmp_path, monkeypatch):
    """damaged(change) -> a folder in a zoo of its own, beside its base, with a card that fits."""
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path))

    def make(change):
        shutil.copytree(tiny_bert, tmp_path / "tiny-bert" / "base")
        place = Path("tiny-bert/language/adapter/ky")
        folder = shutil.copytree(tiny_zoo_of_bert / place, tmp_path / place)
        save_file(change(load_file(folder / FILE)), folder / FILE, {"format": "pt"})
        card = read_card(folder, verify=False)
        record = {**vars(card)} if hasattr(card, "__dict__") else None
        assert record is not None
        write_card(folder, ModuleCard(**{**record, "files": {}}))
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_zoo_of_bert(tiny_bert, adapter_model, save_random, tmp_path_factory):
    from polyrank.base import load_base

    root, base, model = tmp_path_factory.mktemp("whole"), load_base(str(tiny_bert)), None
    model = adapter_model(tiny_bert)
    model.add_adapter("ky", config="seq_bn_inv")
    save_random(model, "ky", base, root, role="language", language="ky")
    return root


@pytest.mark.parametrize("case", DAMAGE)
def test_what_is_not_whole_is_refused(case, damaged, tmp_path):
    change, message = DAMAGE[case]
    folder = damaged(change)
    (verdict,) = zoo.verify(str(folder))
    assert verdict.problem and re.search(message, verdict.problem)
    with pytest.raises(ModuleError, match=message):
        import_module(str(folder), tmp_path / "to", "ky", base="tiny-bert")
    assert not (tmp_path / "to").exists()


def test_what_is_whole_is_not(damaged):
    (verdict,) = zoo.verify(str(damaged(lambda tensors: tensors)))
    assert verdict.problem is None


def test_a_refused_pickle_is_told_in_our_words(tmp_path):
    """torch's own advise to load it anyway."""
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"name": "ky", "config": {"non_linearity": "relu", "original_ln_before": True,
                    "original_ln_after": True, "residual_before_ln": True, "output_adapter": True,
                    "reduction_factor": 2}, "model_type": "bert"})
    )  # fmt: skip
    torch.save({"w": Path("/tmp")}, tmp_path / "pytorch_adapter.bin")
    with pytest.raises(ModuleError) as refused:
        read_adapter(tmp_path)
    message = str(refused.value)
    assert "nothing of it was run" in message
    assert "weights_only" not in message and "add_safe_globals" not in message
    (tmp_path / "pytorch_adapter.bin").write_bytes(pickle.dumps(Path("/tmp")))
    with pytest.raises(ModuleError, match="nothing of it was run"):
        read_adapter(tmp_path)


def test_finite_files_of_any_type_are_sound(tmp_path):
    types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool]
    tensors = {str(dtype): torch.ones(3, dtype=dtype) for dtype in types}
    save_file({**tensors, "empty": torch.ones(0)}, tmp_path / "a.safetensors")
    check_safetensors(tmp_path / "a.safetensors")
