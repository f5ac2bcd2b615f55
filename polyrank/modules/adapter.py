"""Adapters on disk and in memory.

On disk an adapter is a folder of the `adapters` library, in safetensors, plus `polyrank.json` and a
README. In memory it is an `AdapterModule`: plain tensors that polyrank's own engine runs
(`polyrank.routing`), so neither reading nor inference needs the library.

Bottleneck adapters: Pfeiffer et al. 2020, MAD-X, arXiv 2005.00052. Invertible adapters: the same,
by the NICE coupling of Dinh et al. 2014, arXiv 1410.8516.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.activations import ACTIVATIONS
from polyrank.errors import ModuleError
from polyrank.modules.card import ModuleCard, read_card, write_card
from polyrank.modules.folder import replaced

Linear = tuple[Tensor, Tensor | None]  # weight (out, in), bias (out,)


@dataclass(frozen=True, eq=False)
class Bottleneck:
    """One layer's adapter: Down (D, H) and its bias (D,), Up (H, D) and its bias (H,)."""

    down: Linear
    up: Linear


@dataclass(frozen=True, eq=False)
class Invertible:
    """A NICE coupling over the embeddings: y1 = x1 + F(x2), y2 = x2 + G(y1).

    Each of F and G is two linear maps with the adapter's activation between them.
    """

    F: tuple[Linear, Linear]
    G: tuple[Linear, Linear]


@dataclass(frozen=True, eq=False)
class Head:
    """A classification head over the first token: linear maps with an activation between them."""

    layers: tuple[Linear, ...]
    activation: str | None = "tanh"


@dataclass(frozen=True, eq=False)
class AdapterModule:
    """An adapter as plain tensors.

    Attributes:
        name: of the adapter in its folder.
        activation: between Down and Up, and inside the invertible layer.
        original_ln_before: whether the layer's own LayerNorm (with residual) comes before Down,
            as in `seq_bn`; `double_seq_bn` goes without.
        output: layer number → the bottleneck after the feed-forward; layers left out are absent.
        attention: layer number → the bottleneck after self-attention (`double_seq_bn` only).
        invertible: the coupling after the embeddings, if any.
        head: the ranking head, if any.
        card: None when read from a plain folder of the library.
        residual_after_ln: whether Up(…) is added to the LayerNorm's output rather than to its
            input, as in XMOD (Pfeiffer et al. 2022, arXiv 2205.06266).
    """

    name: str
    activation: str
    original_ln_before: bool
    output: Mapping[int, Bottleneck]
    attention: Mapping[int, Bottleneck]
    invertible: Invertible | None = None
    head: Head | None = None
    card: ModuleCard | None = None
    residual_after_ln: bool = False

    @property
    def hidden_size(self) -> int:
        return next(iter(self.output.values())).down[0].shape[1]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> AdapterModule:
        """A copy on a device and in a dtype; the head stays in fp32, as scores are."""
        return replace(
            self,
            output={n: _move_bottleneck(b, device, dtype) for n, b in self.output.items()},
            attention={n: _move_bottleneck(b, device, dtype) for n, b in self.attention.items()},
            invertible=self.invertible and _move_invertible(self.invertible, device, dtype),
            head=self.head and _move_head(self.head, device),
        )


def _move(linear: Linear, device: torch.device | str, dtype: torch.dtype) -> Linear:
    weight, bias = linear
    return weight.to(device, dtype), None if bias is None else bias.to(device, dtype)


def _move_bottleneck(
    bottleneck: Bottleneck, device: torch.device | str, dtype: torch.dtype
) -> Bottleneck:
    return Bottleneck(
        _move(bottleneck.down, device, dtype),
        _move(bottleneck.up, device, dtype),
    )


def _move_invertible(
    coupling: Invertible, device: torch.device | str, dtype: torch.dtype
) -> Invertible:
    F, G = coupling.F, coupling.G
    return Invertible(
        F=(_move(F[0], device, dtype), _move(F[1], device, dtype)),
        G=(_move(G[0], device, dtype), _move(G[1], device, dtype)),
    )


def _move_head(head: Head, device: torch.device | str) -> Head:
    layers = tuple(_move(layer, device, torch.float32) for layer in head.layers)
    return replace(head, layers=layers)


def tensors_of(value: Any) -> list[Tensor]:
    """All tensors of nested dataclasses, mappings and sequences."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        parts: Any = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        parts = value.values()
    else:
        parts = value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


# --- reading -------------------------------------------------------------------------------------


def load_adapter_module(folder: str | Path) -> AdapterModule:
    """Read and verify an adapter module.

    Raises:
        ModuleError: a folder without card, an unknown format version, a missing or altered file, a
            mask, or an adapter configuration that polyrank's engine does not run.
    """
    card = read_card(folder)
    if card.kind != "adapter":
        raise ModuleError(
            f"'{card.full_name}' is a {card.kind}, not an adapter.\nUse it with kind='{card.kind}'."
        )
    return replace(read_adapter(folder), card=card)


def read_adapter(folder: str | Path) -> AdapterModule:
    """Read a plain folder of the `adapters` library, as from AdapterHub; nothing is verified.

    Raises:
        ModuleError: a missing or unreadable file, or a configuration that is not `seq_bn`,
            `seq_bn_inv`, `double_seq_bn` or `double_seq_bn_inv` in its numerics.
    """
    folder = Path(folder)
    record = _read_json(folder / "adapter_config.json")
    config, name = record.get("config"), record.get("name")
    if not isinstance(config, dict) or not isinstance(name, str):
        raise ModuleError(f"'{folder}' holds no bottleneck adapter.\nGive an adapter's folder.")
    if "version" not in record:
        activation = str(config.get("non_linearity"))
        config = {**config, "non_linearity": _OLD_ACTIVATIONS.get(activation, activation)}
    of_xmod = record.get("model_type") == "xmod"
    _refuse_unsupported(config, folder, _REQUIRED_OF_XMOD if of_xmod else _REQUIRED)
    tensors = read_tensors(folder, "adapter.safetensors", "pytorch_adapter.bin")
    layers, coupling = _sort_tensors(tensors, name, folder)
    return AdapterModule(
        name=name,
        activation=str(config["non_linearity"]).lower(),
        original_ln_before=bool(config["original_ln_before"]),
        output={n: _bottleneck(parts, folder) for n, parts in sorted(layers["output"].items())},
        attention={n: _bottleneck(p, folder) for n, p in sorted(layers["attention"].items())},
        invertible=_invertible(coupling, folder) if coupling else None,
        head=_read_head(folder, name),
        residual_after_ln=of_xmod,
    )


def check_trainable_over(folder: str | Path) -> None:
    """Raise ModuleError for a language adapter over which the library would train another stack
    than polyrank runs: one of XMOD."""
    if read_adapter(folder).residual_after_ln:
        raise ModuleError(
            f"the language adapter in '{folder}' is one of XMOD, over which nothing can be trained "
            "here: the adapters library computes another stack of it than polyrank runs.\n"
            "Train over none, or over a language adapter that polyrank trained for this base."
        )


# What the engine computes. `adapter_residual_before_ln` matters only with `ln_after`.
_REQUIRED = {
    "residual_before_ln": True,
    "original_ln_after": True,
    "ln_before": False,
    "ln_after": False,
    "is_parallel": False,
    "phm_layer": False,
    "use_gating": False,
    "cross_adapter": False,
    "scaling": 1.0,
    "output_adapter": True,
}
# What records without a version, of adapter-transformers before 2.0, mean by these.
_OLD_ACTIVATIONS = {"gelu": "gelu_new", "gelu_orig": "gelu"}
# XMOD's layers add the residual and apply the last LayerNorm by themselves.
_REQUIRED_OF_XMOD = {
    **_REQUIRED,
    "residual_before_ln": False,
    "original_ln_before": True,
    "original_ln_after": False,
    "mh_adapter": False,
    "inv_adapter": None,
}


def _refuse_unsupported(
    config: Mapping[str, Any], folder: Path, required: Mapping[str, Any]
) -> None:
    def refuse(reason: str) -> None:
        raise ModuleError(
            f"the adapter in '{folder}' {reason}, which polyrank does not run.\n"
            "Train it with the configuration seq_bn, seq_bn_inv or double_seq_bn."
        )

    if config.get("architecture") is not None:
        refuse(f"is of the architecture '{config['architecture']}'")
    if "original_ln_before" not in config or "non_linearity" not in config:
        refuse("has no bottleneck configuration of adapters 1.x")
    for key, value in required.items():
        if config.get(key, value) != value:
            refuse(f"has {key}={config[key]!r}")
    if config.get("inv_adapter") not in (None, "nice"):
        refuse(f"has inv_adapter={config['inv_adapter']!r}")
    if str(config["non_linearity"]).lower() not in ACTIVATIONS:
        refuse(f"has non_linearity={config['non_linearity']!r}")


# Names of adapter-transformers before 2.0, as some AdapterHub folders still carry them.
_LEGACY = {
    "attention_text_task_adapters": "adapters",
    "attention_text_lang_adapters": "adapters",
    "layer_text_task_adapters": "adapters",
    "layer_text_lang_adapters": "adapters",
    "invertible_lang_adapters": "invertible_adapters",
}
_LAYER = re.compile(
    r"(?:^|\.)encoder\.layer\.(?P<layer>\d+)\.(?P<attention>attention\.)?output\.adapters\."
    r"(?P<name>[^.]+)\.(?P<part>adapter_down\.0|adapter_up)\.(?P<kind>weight|bias)$"
)
_COUPLING = re.compile(
    r"(?:^|\.)invertible_adapters\.(?P<name>[^.]+)\.(?P<part>[FG]\.[02])\.(?P<kind>weight|bias)$"
)
Parts = dict[str, Tensor]


def _sort_tensors(
    tensors: Mapping[str, Tensor], name: str, folder: Path
) -> tuple[dict[str, dict[int, Parts]], Parts]:
    layers: dict[str, dict[int, Parts]] = {"output": {}, "attention": {}}
    coupling: Parts = {}
    for key, tensor in tensors.items():
        renamed = key
        for old, new in _LEGACY.items():
            renamed = renamed.replace(old, new)
        if (match := _LAYER.search(renamed)) and match["name"] == name:
            place = layers["attention" if match["attention"] else "output"]
            parts = place.setdefault(int(match["layer"]), {})
            parts[f"{match['part']}.{match['kind']}"] = tensor
        elif (match := _COUPLING.search(renamed)) and match["name"] == name:
            coupling[f"{match['part']}.{match['kind']}"] = tensor
        else:
            raise ModuleError(
                f"the adapter in '{folder}' has the tensor '{key}', which is no part of a "
                "bottleneck adapter of a BERT or XLM-R encoder.\nGive one for such an encoder."
            )
    if not layers["output"]:
        raise ModuleError(f"the adapter in '{folder}' has no layers.\nTrain it again.")
    return layers, coupling


def _linear(parts: Parts, name: str, folder: Path) -> Linear:
    try:
        return parts[f"{name}.weight"], parts[f"{name}.bias"]
    except KeyError as error:
        raise ModuleError(
            f"the adapter in '{folder}' lacks the tensor {error}.\nFetch or train it again."
        ) from error


def _bottleneck(parts: Parts, folder: Path) -> Bottleneck:
    return Bottleneck(
        down=_linear(parts, "adapter_down.0", folder),
        up=_linear(parts, "adapter_up", folder),
    )


def _invertible(parts: Parts, folder: Path) -> Invertible:
    return Invertible(
        F=(_linear(parts, "F.0", folder), _linear(parts, "F.2", folder)),
        G=(_linear(parts, "G.0", folder), _linear(parts, "G.2", folder)),
    )


_HEADS = ("classification", "multilabel_classification")


def _read_head(folder: Path, name: str) -> Head | None:
    if not (folder / "head_config.json").is_file():
        return None
    record = _read_json(folder / "head_config.json")
    config = record.get("config")
    if not isinstance(config, dict) or config.get("head_type") not in _HEADS:
        return None  # e.g. an MLM head kept with a language module: no use in ranking
    if config.get("use_pooler") or config.get("layers") not in (1, 2):
        raise ModuleError(
            f"the head in '{folder}' uses the pooler or has other than 1 or 2 layers, which "
            "polyrank does not run.\nUse add_classification_head(layers=1 or 2, use_pooler=False)."
        )
    tensors = read_tensors(folder, "model_head.safetensors", "pytorch_model_head.bin")
    prefix = f"heads.{record.get('name', name)}."
    # The head is a Sequential of Dropout, Linear, activation, Dropout, Linear: linears at 1 and 4.
    # Without an activation the second one moves up to 3.
    second = 4 if config.get("activation_function") else 3
    places = [1, second][: config["layers"]]
    layers = []
    for place in places:
        weight = tensors.get(f"{prefix}{place}.weight")
        if weight is None:
            raise ModuleError(
                f"the head in '{folder}' lacks the tensor '{prefix}{place}.weight'.\n"
                "Fetch or train it again."
            )
        layers.append((weight, tensors.get(f"{prefix}{place}.bias")))
    return Head(tuple(layers), config.get("activation_function"))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModuleError(
            f"'{path.parent}' holds no adapter: {path.name} is missing.\nFetch or train it again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModuleError(f"{path} cannot be read: {error}.\nFetch or train it again.") from error
    if not isinstance(record, dict):
        raise ModuleError(f"{path} holds no JSON object.\nFetch or train the adapter again.")
    return record


def read_tensors(folder: Path, safe: str, pickled: str) -> dict[str, Tensor]:
    """Tensors from safetensors or, failing that, from a `.bin` by the loader that runs no code."""
    from safetensors.torch import load_file

    path = folder / safe if (folder / safe).is_file() else folder / pickled
    if not path.is_file():
        raise ModuleError(f"'{folder}' has neither {safe} nor {pickled}.\nFetch or train it again.")
    try:
        if path.name == safe:
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has its own kinds; all mean: not these tensors
        raise ModuleError(f"{path} cannot be read: {error}\nFetch or train it again.") from error
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise ModuleError(f"{path} holds something other than tensors.\nDo not use it.")
    return tensors


# --- writing -------------------------------------------------------------------------------------


def save_adapter_module(
    model: Any,
    adapter_name: str,
    folder: str | Path,
    card: ModuleCard,
    head: bool = False,
    dtype: torch.dtype | None = None,
) -> ModuleCard:
    """Write an adapter as a module folder, which `model.load_adapter(folder, use_safetensors=True)`
    of the library reads too.

    The folder is written aside and then renamed, so a crash leaves the old module or the new one.

    Args:
        model: a model of the `adapters` library that has the adapter.
        adapter_name: the adapter's name in that model; the folder's adapter is called `card.name`
            on loading only when the two agree.
        folder: where to; an existing module there is replaced, anything else is left alone.
        card: without `files`, which are filled in.
        head: write the prediction head of the same name too (a ranking module needs it).
        dtype: of the stored tensors, e.g. torch.float16 to halve the size; as they are by default.

    Returns:
        The card as written.

    Raises:
        ModuleError: no such adapter or head, or a folder that holds something else.
    """
    if adapter_name not in model.adapters_config.adapters:
        raise ModuleError(
            f"the model has no adapter '{adapter_name}', only "
            f"{', '.join(model.adapters_config.adapters) or 'none'}.\nAdd it with add_adapter."
        )
    if head and adapter_name not in getattr(model, "heads", {}):
        raise ModuleError(
            f"the model has no head '{adapter_name}'.\nAdd it with add_classification_head."
        )
    with_head = {"with_head": head} if hasattr(model, "heads") else {}
    with replaced(folder) as temporary:
        model.save_adapter(str(temporary), adapter_name, use_safetensors=True, **with_head)
        _convert(temporary, adapter_name, dtype)
        for path in temporary.glob("*_config.json"):  # the library writes the base's path there
            record = _read_json(path)
            path.write_text(
                json.dumps({**record, "model_name": card.base}, indent=2, sort_keys=True) + "\n"
            )
        written = write_card(temporary, card)
        read_adapter(temporary)  # refuse now what could not be run later
    return written


def _convert(folder: Path, name: str, dtype: torch.dtype | None) -> None:
    """Cast, and drop other heads whose name starts with ours, which the library writes too."""
    from safetensors.torch import load_file, save_file

    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        if path.name == "model_head.safetensors":
            tensors = {k: v for k, v in tensors.items() if k.startswith(f"heads.{name}.")}
        cast = {k: v.to(dtype or v.dtype).contiguous() for k, v in tensors.items()}
        save_file(cast, path, metadata={"format": "pt"})
