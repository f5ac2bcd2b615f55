"""The language modules inside an XMOD checkpoint (Pfeiffer et al. 2022, arXiv 2205.06266).

XMOD is XLM-R with a bottleneck per language after each layer's feed-forward. With f its output, r
its input and LN the layer's own LayerNorm, XMOD computes

    n = LN(f + r),    layer output = LN(Up(act(Down n)) + n)

where the adapters of MAD-X keep f + r in place of n. No weights turn one into the other, so these
modules are their own kind of residual (`AdapterModule.residual_after_ln`), and they fit only the
weights that they were trained with: XMOD's without its language modules, which are those of an
XLM-R. So an import writes two things: the module, and once this trunk, as a base of type XLM-R.
Both are of one checkpoint, so the base is verified.

What runs them: polyrank's engine, exactly, and there each token may have its own language, where
XMOD has one for a row. `adapters` reads the module's folder for its XMOD classes. A ranking adapter
over such a module acts on the layer's output, as over others; nothing can be trained over one here,
since the library would compute another stack (`check_trainable_over`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base, load_base, load_tokenizer
from polyrank.base.trusted import refuse_code
from polyrank.errors import LanguageError, ModuleError, UsageError
from polyrank.kernels.activations import ACTIVATIONS
from polyrank.languages import tags
from polyrank.modules.adapter.tensors import AdapterModule, Bottleneck
from polyrank.modules.card import slug
from polyrank.zoo.imports import adapterhub
from polyrank.zoo.imports.target import Imported, Wanted

CONFIG_FILE = "config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "sentencepiece.bpe.model")
FILES = (CONFIG_FILE, *_WEIGHTS, *_TOKENIZER, "special_tokens_map.json")

# What facebook/xmod-base and its sisters are; the other variants compute something else.
_REQUIRED = {
    "pre_norm": False,
    "adapter_layer_norm": False,
    "adapter_reuse_layer_norm": True,
    "ln_before_adapter": True,
}
# Of XMOD's configuration, what an XLM-R has no use for.
_OF_XMOD = (*_REQUIRED, "adapter_reduction_factor", "languages", "default_language")


def bring(folder: Path, wanted: Wanted) -> Imported:
    """Bring one language's module into a zoo, and the base that it is for, unless it is there.

    Raises:
        ModuleError: no XMOD checkpoint, a variant that polyrank does not run, or weights that are
            missing or broken; or another base of that name in the zoo.
        LanguageError: a language that the checkpoint has no module for.
        UsageError: the role `ranking`, or a base named: it comes out of the checkpoint.
    """
    config = _config(folder)
    if wanted.role != "language":
        raise UsageError("an XMOD checkpoint holds language modules only.\nLeave out --role.")
    if wanted.base is not None:
        raise UsageError(
            "the base of XMOD's modules comes out of the checkpoint itself.\nLeave out --base."
        )
    code = _code(config, wanted.language)
    weights = _encoder_weights(folder)
    base, written = _trunk(folder, config, weights, wanted.zoo, f"{_name(wanted.source)}-trunk")
    card = wanted.card("adapter", base.name, "xmod", fingerprint=base.fingerprint)
    module = module_of(weights, code, str(config["hidden_act"]).lower(), card.name)
    record = {
        "config": _library_config(config),
        "hidden_size": config["hidden_size"],
        "model_class": "XmodAdapterModel",
        "model_type": "xmod",
        "version": f"adapters.{version('adapters')}",  # without one, `gelu` means another function
    }
    notes = [f"the module of '{code}'"]
    if written:
        notes.append(
            f"wrote its base too, XMOD without language modules: {base.folder}\n"
            f"it is found as --base {base.name} with POLYRANK_ZOO={wanted.zoo}"
        )
    with wanted.place(card) as target:
        done = adapterhub.write(module, target, card, record)
    return Imported(done, target, tuple(notes))


def module_of(
    weights: Mapping[str, Tensor], code: str, activation: str, name: str
) -> AdapterModule:
    """A language's module.

    Args:
        weights: of the encoder, by their names in it.
        code: of the language in the checkpoint, e.g. `sw_KE`.
        activation: of the bottleneck.
        name: what it is to be called.

    Raises:
        ModuleError: a layer without it.
    """
    layers = {}
    numbers = {int(key.split(".")[2]) for key in weights if key.startswith("encoder.layer.")}
    for number in sorted(numbers):
        start = f"encoder.layer.{number}.output.adapter_modules.{code}"
        try:
            down, up = (
                (weights[f"{start}.{part}.weight"], weights[f"{start}.{part}.bias"])
                for part in ("dense1", "dense2")
            )
        except KeyError as error:
            raise ModuleError(f"the checkpoint lacks {error}.\nFetch it again.") from error
        layers[number] = Bottleneck(down, up)
    return AdapterModule(name, activation, True, layers, {}, residual_after_ln=True)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        model_type = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModuleError(f"{folder / CONFIG_FILE} cannot be read ({error!r}).") from error
    if model_type != "xmod":
        raise ModuleError(
            f"'{folder}' is a checkpoint of type '{model_type}', with no modules to take out.\n"
            "Use it as a base with --base, or give a folder of the adapters library, of "
            "composable-sft, or an XMOD checkpoint."
        )
    for key, value in _REQUIRED.items():
        if config.get(key, value) != value:
            raise ModuleError(
                f"the XMOD checkpoint in '{folder}' has {key}={config[key]!r}, which polyrank does "
                "not run.\nGive one like facebook/xmod-base."
            )
    if str(config.get("hidden_act", "gelu")).lower() not in ACTIVATIONS:
        raise ModuleError(
            f"the XMOD checkpoint in '{folder}' has the activation {config['hidden_act']!r}, which "
            "polyrank does not run.\nGive one like facebook/xmod-base."
        )
    return {"hidden_act": "gelu", **config}


def _code(config: Mapping[str, Any], language: str) -> str:
    codes = {tag_of(code): code for code in reversed(config["languages"])}  # the first one counts
    if language not in codes:
        raise LanguageError(
            f"the checkpoint has no module for '{language}'.\nIt has: {', '.join(sorted(codes))}."
        )
    return codes[language]


def tag_of(code: str) -> str:
    """The tag of XMOD's code: `sw_KE` is `sw`, `zh_TW` is `zh-Hant`, `hi_IN_rom` is `hi-Latn`."""
    language, *rest = code.split("_")
    if "rom" in rest:
        return tags.normalise(f"{language}-Latn")
    if language == "zh":
        return tags.normalise(code)
    return tags.normalise(language)


def _name(source: str) -> str:
    """`facebook/xmod-base@main` → `xmod-base`."""
    return slug(Path(source.split("@")[0]).name)


def _encoder_weights(folder: Path) -> dict[str, Tensor]:
    """The encoder's tensors by their names in it; heads, poolers and position ids are left out."""
    from safetensors.torch import load_file

    found = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
    if not found:
        raise ModuleError(f"'{folder}' has none of {', '.join(_WEIGHTS)}.\nFetch it again.")
    try:
        if found[0].suffix == ".safetensors":
            whole = load_file(found[0])
        else:
            whole = torch.load(found[0], map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # each reader has its own kinds; all mean: not these tensors
        raise ModuleError(f"{found[0]} cannot be read: {error}\nFetch it again.") from error
    weights = {name.removeprefix("roberta."): tensor for name, tensor in whole.items()}
    kept = ("embeddings.", "encoder.")
    return {
        name: tensor
        for name, tensor in weights.items()
        if name.startswith(kept) and not name.endswith("position_ids")
    }


def _trunk(
    folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor], zoo: Path, name: str
) -> tuple[Base, bool]:
    """XMOD without its language modules, as a base of the zoo; and whether it is new there."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    from polyrank.modules.folder import replaced

    refuse_code(folder)
    target = zoo / name / "base"
    plain = {key: value for key, value in config.items() if key not in (*_OF_XMOD, "model_type")}
    model = XLMRobertaModel(
        XLMRobertaConfig(**{**plain, "architectures": ["XLMRobertaModel"]}), add_pooling_layer=False
    )
    own = {key: value for key, value in weights.items() if ".adapter_modules." not in key}
    try:
        model.load_state_dict(own)
        tokenizer = load_tokenizer(str(folder), True)
    except (RuntimeError, OSError, ValueError) as error:
        raise ModuleError(f"'{folder}' is not a whole XMOD checkpoint: {error}.") from error
    new = not (target / CONFIG_FILE).is_file()
    if new:
        with replaced(target) as temporary:
            model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
    base = load_base(str(target))
    if not new and _differs(base, own):
        raise ModuleError(
            f"the base in {target} is not the one of this checkpoint.\nName another --zoo."
        )
    return base, new


def _differs(base: Base, weights: Mapping[str, Tensor]) -> bool:
    there = base.model.state_dict()
    return any(not torch.equal(there[key], value.float()) for key, value in weights.items())


def _library_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The bottleneck as the `adapters` library describes XMOD's."""
    from adapters import SeqBnConfig

    return SeqBnConfig(
        reduction_factor=config.get("adapter_reduction_factor", 2),
        non_linearity=config["hidden_act"],
        original_ln_before=True,
        original_ln_after=False,
        residual_before_ln=False,
    ).to_dict()
