"""A configuration that names code is refused before anything is loaded."""

import json
import shutil

import pytest
import torch

from polyrank.base import load_base
from polyrank.base.trusted import refuse_code
from polyrank.collections.records import Document
from polyrank.errors import ModuleError


@pytest.mark.parametrize(
    "config",
    [
        {"_attn_implementation": "someone/kernel"},
        {"_attn_implementation_internal": "someone/kernel"},
        {"text_config": {"_attn_implementation": "someone/kernel"}},
        {"layers": [{"_attn_implementation": {"": "someone/kernel"}}]},
        {"auto_map": {"AutoModel": "modeling.Model"}},
    ],
)
def test_code_is_refused_at_any_depth(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **config}))
    with pytest.raises(ModuleError, match="names code"):
        refuse_code(tmp_path)


@pytest.mark.parametrize("name", ["sdpa", "eager", "flash_attention_2", None])
def test_a_plain_name_of_attention_is_none(tmp_path, name):
    (tmp_path / "config.json").write_text(json.dumps({"_attn_implementation": name}))
    refuse_code(tmp_path)


def test_a_base_is_refused_before_it_is_loaded(tiny_bert, tmp_path):
    config = json.loads((tiny_bert / "config.json").read_text())
    config["_attn_implementation_internal"] = "someone/kernel"
    (tmp_path / "config.json").write_text(json.dumps(config))  # no weights: they are not asked for
    with pytest.raises(ModuleError, match="someone/kernel"):
        load_base(str(tmp_path))


def _loaders():
    """Everything that reads a model, a tokenizer or an encoder from a folder that users bring."""
    from polyrank.index.lexical import BM25
    from polyrank.late_interaction.checkpoints import read_checkpoint
    from polyrank.modules.full import load_full_encoder, load_full_module
    from polyrank.rerankers.cross_encoder import read_classifier
    from polyrank.rerankers.llm.engines.reading import read_language_model

    documents = [Document("d", "ice", language="en")]
    return {
        "base": lambda folder: load_base(str(folder)),
        "cross-encoder": read_classifier,
        "full ranking model": load_full_module,
        "full encoder": load_full_encoder,
        "language model": lambda folder: read_language_model(str(folder), torch.float32),
        "Stanford's ColBERT": read_checkpoint,
        "vocabulary of BM25": lambda folder: BM25(documents, analysis="subwords", base=str(folder)),
    }


@pytest.mark.parametrize("name", list(_loaders()))
def test_nothing_is_loaded_from_a_folder_that_names_code(name, tiny_bert, tmp_path, monkeypatch):
    """Kernels are fetched and run when a model is built: nothing of transformers may be reached."""
    import transformers

    folder = shutil.copytree(tiny_bert, tmp_path / "hostile")
    config = json.loads((folder / "config.json").read_text())
    config["_attn_implementation_internal"] = "someone/kernel"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "artifact.metadata").write_text("{}")  # as Stanford's ColBERT has it
    kinds = ("", "ForSequenceClassification", "ForCausalLM", "ForSeq2SeqLM", "ForMaskedLM")
    for auto in ("AutoConfig", "AutoTokenizer", *(f"AutoModel{kind}" for kind in kinds)):
        monkeypatch.setattr(
            getattr(transformers, auto), "from_pretrained", lambda *_, **__: pytest.fail(name)
        )
    with pytest.raises(ModuleError, match="names code to run"):
        _loaders()[name](folder)
