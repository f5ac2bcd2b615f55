"""How the `adapters` library lays an adapter out: its configuration and the names of its tensors.

What polyrank's engine does not run is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from polyrank.errors import ModuleError
from polyrank.kernels.activations import ACTIVATIONS
from polyrank.modules.adapter.tensors import Bottleneck, Invertible, Linear

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


def is_of_xmod(record: Mapping[str, Any]) -> bool:
    """Whether `adapter_config.json` is of a language adapter out of an XMOD."""
    return record.get("model_type") == "xmod"


def config_of(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration in `adapter_config.json`, in today's words.

    Raises:
        ModuleError: no bottleneck adapter, or one that is not `seq_bn`, `seq_bn_inv`,
            `double_seq_bn` or `double_seq_bn_inv` in its numerics.
    """
    config = record.get("config")
    if not isinstance(config, dict) or not isinstance(record.get("name"), str):
        raise ModuleError(f"'{folder}' holds no bottleneck adapter.\nGive an adapter's folder.")
    if "version" not in record:
        activation = str(config.get("non_linearity"))
        config = {**config, "non_linearity": _OLD_ACTIVATIONS.get(activation, activation)}
    _refuse_unsupported(config, folder, _REQUIRED_OF_XMOD if is_of_xmod(record) else _REQUIRED)
    return config


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


@dataclass(frozen=True, eq=False)
class Layers:
    """The parts of an adapter; see `AdapterModule`."""

    output: dict[int, Bottleneck]
    attention: dict[int, Bottleneck]
    invertible: Invertible | None


def layers_of(tensors: Mapping[str, Tensor], name: str, folder: Path) -> Layers:
    """The tensors of the adapter `name`, each in its place.

    Raises:
        ModuleError: a tensor that is not part of such an adapter, or one that is missing.
    """
    layers, coupling = _sort_tensors(tensors, name, folder)
    output, attention = (
        {number: _bottleneck(parts, folder) for number, parts in sorted(layers[place].items())}
        for place in ("output", "attention")
    )
    return Layers(output, attention, _invertible(coupling, folder) if coupling else None)


def check_whole(layers: Layers, config: Mapping[str, Any], folder: Path) -> None:
    """Refuse an adapter that lacks a part that its configuration promises.

    Raises:
        ModuleError: no invertible layer, a layer between others that is absent, or no attention
            part of a layer that has one elsewhere.
    """
    lacking = []
    if config.get("inv_adapter") is not None and layers.invertible is None:
        lacking.append("its invertible layer")
    left_out = config.get("leave_out") or ()
    wanted = {n for n in range(max(layers.output) + 1) if n not in left_out}
    lacking += [f"the one of layer {n}" for n in sorted(wanted - set(layers.output))]
    if layers.attention:
        absent = set(layers.output) - set(layers.attention)
        lacking += [f"the attention part of layer {n}" for n in sorted(absent)]
    if lacking:
        raise ModuleError(
            f"the adapter in '{folder}' is not whole: it lacks {', '.join(lacking)}.\n"
            "Fetch or train it again."
        )


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
                f"the adapter in '{folder}' has the tensor '{key}', which is not part of a "
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
