"""A configuration that names code is refused before anything is loaded."""

import json

import pytest

from polyrank.base import load_base
from polyrank.base.trusted import refuse_code
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
