"""XMOD's language modules: the engine computes what XMOD computes, and routes finer."""

import json
import shutil

import pytest
import torch

from polyrank.composition.plan import compose
from polyrank.encoders.routed import RoutedEncoder
from polyrank.errors import LanguageError, ModuleError, UsageError
from polyrank.modules.adapter.adapter_folder import check_trainable_over, load_adapter_module
from polyrank.zoo.imports.imported import export_module, import_module
from polyrank.zoo.imports.xmod import tag_of

CODES = ("en_XX", "sw_KE", "zh_TW")
TEXTS = ["a river runs", "old iron", "white salt and stone", "x"]


@pytest.fixture(scope="module")
def xmod(tmp_path_factory, tiny_xlmr):
    """A random XMOD with a masked language model's head, and XLM-R's tokenizer."""
    from transformers import XmodConfig, XmodForMaskedLM

    folder = tmp_path_factory.mktemp("xmod") / "tiny-xmod"
    config = json.loads((tiny_xlmr / "config.json").read_text())
    sizes = {k: v for k, v in config.items() if k not in ("model_type", "architectures")}
    torch.manual_seed(11)
    model = XmodForMaskedLM(XmodConfig(**sizes, languages=CODES, default_language="en_XX")).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.15)
    model.save_pretrained(folder)
    for path in tiny_xlmr.glob("*token*"):
        shutil.copy(path, folder)
    return folder, model.roberta


@pytest.fixture
def zoo(xmod, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "zoo"))
    for language in ("en", "sw", "zh-Hant"):
        import_module(str(xmod[0]), tmp_path / "zoo", language)
    return tmp_path / "zoo"


@pytest.fixture
def base(zoo):
    from polyrank.base import load_base

    return load_base("tiny-xmod-trunk")


def modules(zoo, *names):
    return [load_adapter_module(zoo / "tiny-xmod-trunk/language/adapter" / n) for n in names]


def test_the_engine_computes_what_xmod_computes(xmod, zoo, base):
    encoding = base.tokenizer(TEXTS, padding=True, return_tensors="pt")
    ids, mask = encoding["input_ids"], encoding["attention_mask"]
    rows = torch.tensor([1, 0, 2, 1])  # each row in a language of its own
    with torch.inference_mode():
        expected = xmod[1](ids, attention_mask=mask, lang_ids=rows).last_hidden_state
        others = xmod[1](ids, attention_mask=mask, lang_ids=rows.roll(1)).last_hidden_state
    engine = RoutedEncoder(base.model, modules(zoo, "en", "sw", "zh-Hant"))
    found = engine(ids, mask, module_index=rows[:, None].expand_as(ids))
    real = mask.bool()
    assert torch.allclose(found[real], expected[real], atol=1e-5)
    assert (others - expected)[real].abs().max() > 0.05  # the modules do differ


def test_tokens_of_one_row_may_have_two_languages(xmod, zoo, base):
    """In the last layer alone the tokens do not mix: each is as in its own language."""
    encoding = base.tokenizer(TEXTS[0], return_tensors="pt")
    ids, mask = encoding["input_ids"], encoding["attention_mask"]
    index = (torch.arange(ids.shape[1]) > 4).long()[None]
    last = len(base.model.encoder.layer) - 1
    from dataclasses import replace

    only_last = [replace(m, output={last: m.output[last]}) for m in modules(zoo, "en", "sw")]
    engine = RoutedEncoder(base.model, only_last)
    both = engine(ids, mask, module_index=index)
    en, sw = (engine(ids, mask, module_index=torch.full_like(ids, i)) for i in (0, 1))
    assert torch.allclose(both, torch.where(index[..., None] == 0, en, sw), atol=1e-6)
    assert (en - sw).abs().max() > 0.05


def test_the_base_is_known_and_plans_need_no_note(xmod, zoo, base):
    card = modules(zoo, "sw")[0].card
    assert card.verified and card.base_fingerprint == base.fingerprint
    assert compose(base, None, "sw", "zh-TW", routing="split").notes == ()
    assert base.model.config.model_type == "xlm-roberta"
    kept = base.model.state_dict()
    for name, tensor in xmod[1].state_dict().items():
        if name in kept:
            assert torch.equal(kept[name], tensor)


def test_the_library_s_own_xmod_reads_the_folder(xmod, zoo, base):
    from adapters import XmodAdapterModel

    model = XmodAdapterModel.from_pretrained(str(xmod[0])).eval()
    folder = zoo / "tiny-xmod-trunk/language/adapter/sw"
    model.load_adapter(str(folder), use_safetensors=True, set_active=True)
    encoding = base.tokenizer(TEXTS, padding=True, return_tensors="pt")
    ids, mask = encoding["input_ids"], encoding["attention_mask"]
    with torch.inference_mode():
        theirs = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
        expected = xmod[1](
            ids, attention_mask=mask, lang_ids=torch.ones(4, dtype=torch.long)
        ).last_hidden_state
    assert torch.allclose(theirs[mask.bool()], expected[mask.bool()], atol=1e-5)


def test_it_goes_out_and_comes_back(zoo, tmp_path, base):
    folder = zoo / "tiny-xmod-trunk/language/adapter/sw"
    exported = export_module(folder, tmp_path / "out")
    done = import_module(str(exported), tmp_path / "b", "sw", base=base.folder)
    one, other = (f / "adapter.safetensors" for f in (folder, done.folder))
    assert one.read_bytes() == other.read_bytes()
    assert load_adapter_module(done.folder).residual_after_ln


def test_nothing_is_trained_over_one(zoo):
    with pytest.raises(ModuleError, match="over which nothing can be trained"):
        check_trainable_over(zoo / "tiny-xmod-trunk/language/adapter/sw")


def test_an_xmod_adapter_with_other_numerics_is_refused(zoo):
    folder = zoo / "tiny-xmod-trunk/language/adapter/sw"
    path = folder / "adapter_config.json"
    record = json.loads(path.read_text())
    record["config"]["original_ln_after"] = True
    path.write_text(json.dumps(record))
    with pytest.raises(ModuleError, match="original_ln_after=True"):
        check_trainable_over(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre_norm": True}, "has pre_norm=True"),
        ({"adapter_layer_norm": True}, "has adapter_layer_norm=True"),
        ({"ln_before_adapter": False}, "has ln_before_adapter=False"),
        ({"model_type": "bert"}, "of type 'bert', with no modules"),
        ({"num_hidden_layers": 4}, "not a whole XMOD checkpoint"),
    ],
)
def test_other_checkpoints_are_refused(xmod, tmp_path, change, message):
    shutil.copytree(xmod[0], tmp_path / "other")
    path = tmp_path / "other" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModuleError, match=message):
        import_module(str(tmp_path / "other"), tmp_path / "zoo", "sw")
    assert not (tmp_path / "zoo").exists()


def test_what_cannot_be_asked(xmod, zoo, tmp_path):
    with pytest.raises(LanguageError, match="no module for 'ky'(.|\n)*en, sw, zh-Hant"):
        import_module(str(xmod[0]), zoo, "ky")
    with pytest.raises(UsageError, match="language modules only"):
        import_module(str(xmod[0]), zoo, "sw", role="ranking")
    with pytest.raises(UsageError, match="Leave out --base"):
        import_module(str(xmod[0]), zoo, "sw", base="tiny-xmod-trunk")


def test_codes():
    codes = {
        "sw_KE": "sw",
        "en_XX": "en",
        "zh_CN": "zh",
        "zh_TW": "zh-Hant",
        "hi_IN_rom": "hi-Latn",
    }
    assert {code: tag_of(code) for code in codes} == codes
