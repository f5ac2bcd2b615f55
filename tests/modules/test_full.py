"""Fine-tuned models as modules: what is not such a model is refused, and none brings code along."""

import json

import pytest

from polyrank.errors import ModuleError
from polyrank.modules.full import load_full_encoder, load_full_module


@pytest.mark.parametrize("load", [load_full_module, load_full_encoder])
@pytest.mark.parametrize(
    "config", [{}, {"model_type": "of-its-own", "auto_map": {"AutoConfig": "code.Config"}}]
)
def test_a_folder_that_is_no_model_or_brings_its_own_code(tmp_path, monkeypatch, load, config):
    maps = dict.fromkeys(("AutoModel", "AutoModelForSequenceClassification"), "code.Model")
    if config:
        config["auto_map"].update(maps)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # whoever is asked says yes
    with pytest.raises(ModuleError, match="cannot be read|names code to run"):
        load(tmp_path)
    assert not (tmp_path / "ran").exists()
