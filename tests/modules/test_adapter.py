"""Adapter folders: the library reads what polyrank writes; polyrank refuses what it cannot run."""

import json

import pytest
import torch

from polyrank.errors import ModuleError
from polyrank.modules.adapter.adapter_folder import (
    load_adapter_module,
    read_adapter,
    save_adapter_module,
)
from polyrank.modules.card import ModuleCard, read_card


@pytest.fixture
def card(tiny_base):
    return ModuleCard("ranking", "adapter", "squad", "en", "tiny", tiny_base.fingerprint)


@pytest.fixture
def model(tiny_folder, adapter_model, randomise):
    model = adapter_model(tiny_folder)
    model.add_adapter("squad", config="seq_bn_inv", set_active=True)
    for head in ("squad", "squad2"):
        model.add_classification_head(head, num_labels=1, layers=2)
    model.active_head = "squad"
    randomise(model, "squad")
    return model


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_the_library_reads_it_and_computes_the_same(
    tiny_folder, tiny_base, adapter_model, model, card, tmp_path, dtype
):
    save_adapter_module(model, "squad", tmp_path / "squad", card, head=True, dtype=dtype)
    other = adapter_model(tiny_folder)
    other.load_adapter(str(tmp_path / "squad"), use_safetensors=True, set_active=True)
    encoding = tiny_base.tokenizer(["a b", "c"], ["d", "e f"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        before, after = (m(**encoding, output_hidden_states=True) for m in (model, other))
    if dtype is None:
        assert torch.equal(before.hidden_states[-1], after.hidden_states[-1])
        assert torch.equal(before.logits, after.logits)
    else:
        assert torch.allclose(before.logits, after.logits, atol=0.02)


def test_fp16_halves_the_file_and_other_heads_stay_out(model, card, tmp_path):
    sizes = {}
    for dtype in (torch.float32, torch.float16):
        save_adapter_module(model, "squad", tmp_path / "squad", card, head=True, dtype=dtype)
        sizes[dtype] = sum(p.stat().st_size for p in (tmp_path / "squad").glob("*.safetensors"))
        module = load_adapter_module(tmp_path / "squad")
        assert module.output[0].down[0].dtype == dtype
        assert len(module.head.layers) == 2
    assert sizes[torch.float16] < 0.75 * sizes[torch.float32]  # the headers keep their size
    from safetensors.torch import load_file

    head = load_file(tmp_path / "squad" / "model_head.safetensors")
    assert {key.split(".")[1] for key in head} == {"squad"}


def test_no_path_of_this_machine_is_written(model, card, tmp_path):
    save_adapter_module(model, "squad", tmp_path / "squad", card, head=True)
    for path in (tmp_path / "squad").iterdir():
        assert str(tmp_path.parent).encode() not in path.read_bytes()
    config = json.loads((tmp_path / "squad" / "adapter_config.json").read_text())
    assert config["model_name"] == "tiny"


def test_pickled_folders_of_the_library_are_read_without_running_code(model, tmp_path):
    model.save_adapter(str(tmp_path / "plain"), "squad")
    module = read_adapter(tmp_path / "plain")
    down = model.base_model.encoder.layer[1].output.adapters["squad"].adapter_down[0]
    assert torch.equal(module.output[1].down[0], down.weight)
    torch.save({"x": print}, tmp_path / "plain" / "pytorch_adapter.bin")
    with pytest.raises(ModuleError, match="cannot be read"):
        read_adapter(tmp_path / "plain")


def test_a_flipped_byte_in_the_weights_is_refused(model, card, tmp_path):
    save_adapter_module(model, "squad", tmp_path / "squad", card, head=True)
    weights = tmp_path / "squad" / "adapter.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModuleError, match="altered"):
        load_adapter_module(tmp_path / "squad")


def test_a_missing_file_and_a_mask_are_refused(model, card, tmp_path):
    from dataclasses import replace

    save_adapter_module(model, "squad", tmp_path / "mask", replace(card, kind="mask"), head=True)
    with pytest.raises(ModuleError, match="is a mask"):
        load_adapter_module(tmp_path / "mask")
    (tmp_path / "mask" / "model_head.safetensors").unlink()
    with pytest.raises(ModuleError, match="lacks its file"):
        load_adapter_module(tmp_path / "mask")


@pytest.mark.parametrize(
    "change",
    [
        {"is_parallel": True},
        {"phm_layer": True},
        {"use_gating": True},
        {"scaling": "learned"},
        {"residual_before_ln": "post_add"},
        {"original_ln_after": False},
        {"ln_before": True},
        {"inv_adapter": "glow"},
        {"non_linearity": "prelu"},
        {"architecture": "prefix_tuning"},
    ],
)
def test_other_configurations_are_refused(model, tmp_path, change):
    model.save_adapter(str(tmp_path / "plain"), "squad", use_safetensors=True)
    path = tmp_path / "plain" / "adapter_config.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "config": {**record["config"], **change}}))
    with pytest.raises(ModuleError, match=f"{[*change.values()][0]}(.|\n)*Train it with"):
        read_adapter(tmp_path / "plain")


def test_what_cannot_be_run_is_refused_before_anything_is_kept(
    tiny_folder, adapter_model, card, tmp_path
):
    model = adapter_model(tiny_folder)
    model.add_adapter("squad", config="lora")
    with pytest.raises(ModuleError, match="architecture 'lora'"):
        save_adapter_module(model, "squad", tmp_path / "squad", card)
    assert not any(tmp_path.iterdir())


def test_a_head_over_the_pooler_is_refused(tiny_folder, adapter_model, card, tmp_path):
    model = adapter_model(tiny_folder)
    model.add_adapter("squad", config="seq_bn")
    model.add_classification_head("squad", num_labels=1, layers=1, use_pooler=True)
    with pytest.raises(ModuleError, match="pooler"):
        save_adapter_module(model, "squad", tmp_path / "squad", card, head=True)


def test_what_is_asked_for_must_be_there(model, card, tmp_path):
    with pytest.raises(ModuleError, match="no adapter 'ky', only squad"):
        save_adapter_module(model, "ky", tmp_path / "ky", card)
    model.delete_head("squad")
    with pytest.raises(ModuleError, match="no head 'squad'"):
        save_adapter_module(model, "squad", tmp_path / "squad", card, head=True)


def test_saving_replaces_a_module_but_nothing_else(model, card, tmp_path):
    from dataclasses import replace

    target = tmp_path / "squad"
    save_adapter_module(model, "squad", target, card)
    save_adapter_module(model, "squad", target, replace(card, language="de"))
    assert read_card(target).language == "de"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(ModuleError, match="not overwritten"):
        save_adapter_module(model, "squad", tmp_path / "home", card)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_a_crash_while_saving_leaves_the_old_module(model, card, tmp_path, monkeypatch):
    from polyrank.modules.adapter import adapter_folder

    target = tmp_path / "squad"
    written = save_adapter_module(model, "squad", target, card)

    def crash(folder, card):
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter_folder, "write_card", crash)
    with pytest.raises(KeyboardInterrupt):
        save_adapter_module(model, "squad", target, card, dtype=torch.float16)
    assert read_card(target) == written
    assert [path.name for path in tmp_path.iterdir()] == ["squad"]
