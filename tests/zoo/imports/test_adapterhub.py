"""Folders of the `adapters` library: in and out again, and the same scores as the library's."""

import json

import pytest
import torch
from adapters import SeqBnConfig
from adapters.composition import Stack

from polyrank import Reranker
from polyrank.encoders.routed import RoutedEncoder
from polyrank.errors import ModuleError, UsageError
from polyrank.modules.adapter.adapter_folder import load_adapter_module, read_adapter
from polyrank.modules.card import UNVERIFIED, read_card
from polyrank.zoo.imports.imported import export_module, import_module

TEXTS = ["a river", "old iron and salt", "x"]


def library_scores(model, base, query, language):
    model.set_active_adapters(Stack(language, "marco"))
    model.active_head = "marco"
    encoding = base.tokenizer([query] * len(TEXTS), TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**encoding).logits.squeeze(-1)


@pytest.mark.parametrize("safe", [False, True])
def test_adapters_of_the_library_score_as_the_library_scores(
    library, saved, tiny_base, tiny_folder, tmp_path, safe
):
    base = str(tiny_folder)
    for name, role, tag in (("ky", "language", "kir"), ("marco", "ranking", "en")):
        folder = saved(name, use_safetensors=safe)
        done = import_module(str(folder), tmp_path / "zoo", tag, role, base=base)
        assert done.folder == tmp_path / "zoo" / tiny_base.name / role / "adapter" / name
        assert read_card(done.folder) == done.card and done.card.base_fingerprint == UNVERIFIED
    ours = Reranker(tiny_base, ranking="marco", routing="document", zoo=tmp_path / "zoo")
    hits = ours.rank("night birds", TEXTS, "en", "ky")
    found = torch.tensor([h.score for h in sorted(hits, key=lambda hit: int(hit.document_id))])
    expected = library_scores(library, tiny_base, "night birds", "ky")
    assert expected.std() > 0.01
    assert torch.allclose(found, expected, atol=1e-5)
    assert any("unverified: the language module 'ky'" in note for note in ours.notes)


def test_the_user_may_vouch_for_the_base(saved, tiny_base, tiny_folder, tmp_path):
    done = import_module(
        str(saved("ky")), tmp_path / "zoo", "ky", base=str(tiny_folder), trust_base=True
    )
    assert done.card.base_fingerprint == tiny_base.fingerprint
    assert done.card.recipe["base weights"].startswith("vouched for")
    assert done.card.licence == "unknown"
    with pytest.raises(UsageError, match="Give --base too"):
        import_module(str(saved("ky")), tmp_path / "zoo", "ky", trust_base=True)


def test_without_a_base_the_recorded_one_counts(saved, tiny_base, tmp_path):
    folder = saved("ky")
    record = json.loads((folder / "adapter_config.json").read_text())
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**record, "model_name": "org/some-bert"}))
    done = import_module(str(folder), tmp_path / "zoo", "ky", name="wiki")
    assert done.card.full_name == "org--some-bert/language/adapter/wiki"
    path.write_text(json.dumps({**record, "model_name": None}))
    with pytest.raises(UsageError, match="does not say for which base"):
        import_module(str(folder), tmp_path / "zoo", "ky")


@pytest.mark.parametrize("name", ["ky", "marco"])
def test_out_and_in_again_leaves_every_bit(saved, tiny_folder, tmp_path, name):
    role = {"ky": "language", "marco": "ranking"}[name]
    options = {"language": "ky", "role": role, "base": str(tiny_folder)}
    first = import_module(str(saved(name)), tmp_path / "a", **options)
    exported = export_module(first.folder, tmp_path / "out" / name)
    assert (exported / "pytorch_adapter.bin").is_file()
    second = import_module(str(exported), tmp_path / "b", **options)
    for file in ("adapter.safetensors", "model_head.safetensors")[: 1 + (name == "marco")]:
        assert (first.folder / file).read_bytes() == (second.folder / file).read_bytes()


def test_the_library_loads_what_is_exported_by_its_defaults(
    library, saved, tiny_folder, adapter_model, tiny_base, tmp_path
):
    other = adapter_model(tiny_folder)
    for name, role in (("ky", "language"), ("marco", "ranking")):
        done = import_module(
            str(saved(name)), tmp_path / "zoo", "ky", role, base=str(tiny_folder), name=name
        )
        other.load_adapter(str(export_module(done.folder, tmp_path / "out" / name)))
    expected = library_scores(library, tiny_base, "old", "ky")
    assert torch.equal(library_scores(other, tiny_base, "old", "ky"), expected)


def test_another_name_in_the_zoo_renames_the_adapter(saved, tiny_folder, tmp_path):
    done = import_module(
        str(saved("ky")), tmp_path / "zoo", "ky", name="kyrgyz", base=str(tiny_folder)
    )
    module = load_adapter_module(done.folder)
    assert module.name == "kyrgyz"
    theirs = read_adapter(saved("ky"))
    assert torch.equal(module.invertible.F[0][0], theirs.invertible.F[0][0])
    assert torch.equal(module.output[2].up[0], theirs.output[2].up[0])


@pytest.mark.parametrize("activation", ["gelu", "gelu_orig"])
def test_an_old_record_means_what_the_library_takes_it_for(
    library, tiny_folder, tiny_base, adapter_model, randomise, tmp_path, activation
):
    """Before 2.0 `gelu` was the approximation by tanh; the library still reads it so."""
    library.add_adapter("old", config=SeqBnConfig(non_linearity="gelu"))
    randomise(library, "old", 3)
    folder = tmp_path / "old"
    library.save_adapter(str(folder), "old")
    path = folder / "adapter_config.json"
    record = json.loads(path.read_text())
    record["config"]["non_linearity"] = activation
    del record["version"]
    path.write_text(json.dumps(record))
    theirs = adapter_model(tiny_folder)
    theirs.load_adapter(str(folder), set_active=True)
    done = import_module(str(folder), tmp_path / "zoo", "ky", base=str(tiny_folder))
    encoding = tiny_base.tokenizer(TEXTS, padding=True, return_tensors="pt")
    ids, mask = encoding["input_ids"], encoding["attention_mask"]
    with torch.inference_mode():
        expected = theirs.base_model(**encoding).last_hidden_state
    types = encoding.get("token_type_ids")
    engine = RoutedEncoder(tiny_base.model, [load_adapter_module(done.folder)])
    found = engine(ids, mask, types, torch.zeros_like(ids))
    assert torch.allclose(found[mask.bool()], expected[mask.bool()], atol=1e-5)
    assert load_adapter_module(done.folder).activation == {"gelu": "gelu_new"}.get(
        activation, "gelu"
    )


def test_what_is_left_out_is_said(library, saved, tiny_folder, randomise, tmp_path):
    library.add_classification_head("ky", num_labels=3)
    done = import_module(str(saved("ky")), tmp_path / "zoo", "ky", base=str(tiny_folder))
    assert any("left out: its prediction head" in note for note in done.notes)
    assert not (done.folder / "head_config.json").exists()
    with pytest.raises(ModuleError, match="a head of 3 labels"):
        import_module(str(saved("ky")), tmp_path / "zoo", "ky", "ranking", base=str(tiny_folder))
    with pytest.raises(ModuleError, match="no head that scores"):
        import_module(str(saved("en")), tmp_path / "zoo", "en", "ranking", base=str(tiny_folder))


@pytest.mark.parametrize("change", [{"num_hidden_layers": 2}, {"hidden_size": 48}])
def test_what_does_not_fit_the_base_is_refused(change, saved, tiny_folder, tmp_path):
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    other = tmp_path / "other"
    config = AutoConfig.from_pretrained(tiny_folder)
    config.update(change)
    AutoModel.from_config(config).save_pretrained(other)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(other)
    with pytest.raises(ModuleError, match="width 32 with at least 3 layers, but the base 'other'"):
        import_module(str(saved("ky")), tmp_path / "zoo", "ky", base=str(other))
    assert not (tmp_path / "zoo").exists()


def test_a_payload_in_a_bin_is_refused_and_not_run(saved, tmp_path):
    class Payload:
        def __reduce__(self):
            import os

            return os.mkdir, (str(tmp_path / "ran"),)

    folder = saved("ky")
    torch.save({"x": Payload()}, folder / "pytorch_adapter.bin")
    with pytest.raises(ModuleError, match="cannot be read"):
        import_module(str(folder), tmp_path / "zoo", "ky")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "zoo").exists()


def test_what_is_no_module(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModuleError, match="none of adapter_config.json, pytorch_diff.bin"):
        import_module(str(tmp_path / "empty"), tmp_path / "zoo", "ky")
    with pytest.raises(UsageError, match="neither a folder nor a repository"):
        import_module("nowhere", tmp_path / "zoo", "ky")
