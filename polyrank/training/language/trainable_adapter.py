"""An adapter as parameters, trained in the engine that will run it, without the `adapters` library.

The engine computes what the library computes (tests compare the two), so a module trained here is
the library's, and is stored in its format. Training in the engine needs nothing but PyTorch and the
base's encoder, which is what a bare GPU machine has.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.errors import ModuleError
from polyrank.kernels.activations import activate
from polyrank.modules.adapter.adapter_folder import read_adapter
from polyrank.modules.adapter.tensors import AdapterModule, Bottleneck, Head, Invertible, Linear
from polyrank.modules.card import ModuleCard, write_card
from polyrank.modules.folder import replaced

LIBRARY = "adapters.1.3.0"  # whose format is written
STD = 0.02  # of new weights, as in the library ('bert'); biases start at zero

# What the library writes for `seq_bn`, the reductions and the coupling apart.
_CONFIG: Mapping[str, Any] = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "dropout": 0.0,
    "factorized_phm_W": True,
    "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform",
    "init_weights": "bert",
    "init_weights_seed": None,
    "is_parallel": False,
    "learn_phm": True,
    "leave_out": [],
    "ln_after": False,
    "ln_before": False,
    "mh_adapter": False,
    "original_ln_after": True,
    "original_ln_before": True,
    "output_adapter": True,
    "phm_bias": True,
    "phm_c_init": "normal",
    "phm_dim": 4,
    "phm_init_range": 0.0001,
    "phm_layer": False,
    "phm_rank": 1,
    "residual_before_ln": True,
    "scaling": 1.0,
    "shared_W_phm": False,
    "shared_phm_rule": True,
    "stochastic_depth": 0.0,
    "use_gating": False,
}


class TrainableAdapter(nn.Module):
    """A bottleneck after every feed-forward block, perhaps a coupling after the embeddings, perhaps
    a ranking head.

    Args:
        name: of the adapter.
        hidden, layers: width and layers of the encoder.
        width: of a bottleneck.
        coupling: width inside the invertible coupling; 0 for none.
        head: add a head: two linear maps with tanh between, one score.
        activation: between Down and Up.
        seed: of the new weights.
    """

    def __init__(
        self,
        name: str,
        hidden: int,
        layers: int,
        width: int,
        coupling: int = 0,
        head: bool = False,
        activation: str = "relu",
        seed: int = 13,
    ) -> None:
        super().__init__()
        self.name, self.hidden, self.width, self.coupling = name, hidden, width, coupling
        self.activation = activation
        generator = torch.Generator().manual_seed(seed)

        def linear(inner: int, outer: int) -> nn.Linear:
            layer = nn.Linear(inner, outer)
            with torch.no_grad():
                layer.weight.normal_(0.0, STD, generator=generator)
                layer.bias.zero_()
            return layer

        self.down = nn.ModuleList(linear(hidden, width) for _ in range(layers))
        self.up = nn.ModuleList(linear(width, hidden) for _ in range(layers))
        half = hidden // 2
        self.F = nn.ModuleList()
        self.G = nn.ModuleList()
        if coupling:
            self.F.extend([linear(half, coupling), linear(coupling, half)])
            self.G.extend([linear(half, coupling), linear(coupling, half)])
        self.head = nn.ModuleList()
        if head:
            self.head.extend([linear(hidden, hidden), linear(hidden, 1)])

    def as_module(self) -> AdapterModule:
        """What the engine runs: the parameters themselves, so that gradients reach them."""
        output = {
            number: Bottleneck(_pair(down), _pair(up))
            for number, (down, up) in enumerate(zip(self.down, self.up, strict=True))
        }
        invertible = None
        if self.coupling:
            first, second = ((_pair(part[0]), _pair(part[1])) for part in (self.F, self.G))
            invertible = Invertible(first, second)
        head = Head(tuple(_pair(layer) for layer in self.head)) if len(self.head) else None
        return AdapterModule(self.name, self.activation, True, output, {}, invertible, head)

    @classmethod
    def of(cls, module: AdapterModule, name: str) -> TrainableAdapter:
        """A language adapter as parameters, its head left out.

        Args:
            module: as read.
            name: of the new one.

        Raises:
            ModuleError: blocks that are not those trained here.
        """
        layers = len(module.output)
        plain = (
            module.original_ln_before
            and not module.attention
            and not module.residual_after_ln
            and sorted(module.output) == list(range(layers))
        )
        if not plain:
            raise ModuleError(
                f"the adapter '{module.name}' cannot be trained on: it has other blocks than one "
                "bottleneck after every feed-forward.\nStart from an adapter that polyrank trained."
            )
        width = module.output[0].down[0].shape[0]
        coupling = module.invertible.F[0][0].shape[0] if module.invertible else 0
        made = cls(name, module.hidden_size, layers, width, coupling, activation=module.activation)
        with torch.no_grad():
            for number, bottleneck in module.output.items():
                _fill(made.down[number], bottleneck.down)
                _fill(made.up[number], bottleneck.up)
            for part in ("F", "G") if module.invertible else ():
                for layer, linear in zip(
                    getattr(made, part), getattr(module.invertible, part), strict=True
                ):
                    _fill(layer, linear)
        return made

    def start_from(self, other: TrainableAdapter) -> None:
        """Take over the weights of an adapter of the same sizes."""
        self.load_state_dict(other.state_dict())

    def scaled(self, factor: float) -> TrainableAdapter:
        """A copy whose changes to the hidden states are `factor` times as large: 0 for none.

        Few sentences of one domain move a language too far; less of the same move may serve other
        texts better (Wortsman et al. 2022, arXiv 2203.05482, §3 for weights between two models).
        """
        scaled = copy.deepcopy(self)
        outer = [*scaled.up, *([scaled.F[1], scaled.G[1]] if self.coupling else [])]
        with torch.no_grad():
            for layer in outer:
                layer.weight.mul_(factor)  # type: ignore[operator]
                layer.bias.mul_(factor)  # type: ignore[operator]
        return scaled

    def uncouple(self, hidden: Tensor) -> Tensor:
        """The inverse of the coupling, which MAD-X applies before the output embeddings.

        y1, y2 → x2 = y2 − G(y1), x1 = y1 − F(x2); the identity where there is no coupling.
        """
        if not self.coupling:
            return hidden
        half = self.hidden // 2
        y1, y2 = hidden[..., :half], hidden[..., half:]
        x2 = y2 - _two_layers(y1, self.G, self.activation)
        x1 = y1 - _two_layers(x2, self.F, self.activation)
        return torch.cat([x1, x2], dim=-1)


def _two_layers(x: Tensor, layers: nn.ModuleList, activation: str) -> Tensor:
    first, second = map(_pair, layers)
    inner = activate(activation, nn.functional.linear(x, *first))
    return nn.functional.linear(inner, *second)


def _fill(layer: Any, linear: Linear) -> None:
    weight, bias = linear
    layer.weight.copy_(weight)
    layer.bias.copy_(bias if bias is not None else torch.zeros_like(layer.bias))


def _pair(layer: nn.Module) -> Linear:
    return layer.weight, layer.bias  # type: ignore[return-value]


def save_trained_adapter(
    adapter: TrainableAdapter,
    folder: str | Path,
    card: ModuleCard,
    dtype: torch.dtype = torch.float16,
    model_type: str = "bert",
) -> ModuleCard:
    """Write a folder that both polyrank and `model.load_adapter(…, use_safetensors=True)` read.

    Args:
        adapter: with a head if it is a ranking module.
        folder: a module there is replaced in one step; anything else is left alone.
        card: without `files`, which are filled in.
        dtype: of the stored tensors.
        model_type: of the base's configuration.

    Returns:
        The card as written.

    Raises:
        ModuleError: a folder that holds something else.
    """
    from safetensors.torch import save_file

    common = {
        "hidden_size": adapter.hidden,
        "model_class": f"{'Bert' if model_type == 'bert' else 'XLMRoberta'}AdapterModel",
        "model_name": card.base,
        "model_type": model_type,
        "name": adapter.name,
        "version": LIBRARY,
    }
    config = {
        **_CONFIG,
        "non_linearity": adapter.activation,
        "reduction_factor": adapter.hidden / adapter.width,
        "inv_adapter": "nice" if adapter.coupling else None,
        "inv_adapter_reduction_factor": (
            adapter.hidden // 2 / adapter.coupling if adapter.coupling else None
        ),
    }
    stem = "bert" if model_type == "bert" else "roberta"
    with replaced(folder) as temporary:
        tensors = {key: value.to(dtype) for key, value in library_names(adapter, stem).items()}
        save_file(tensors, temporary / "adapter.safetensors", metadata={"format": "pt"})
        _write(temporary / "adapter_config.json", {**common, "config": config})
        if len(adapter.head):
            heads = {
                f"heads.{adapter.name}.{place}.{part}": getattr(layer, part).detach().to(dtype)
                for place, layer in zip((1, 4), adapter.head, strict=True)
                for part in ("weight", "bias")
            }
            save_file(heads, temporary / "model_head.safetensors", metadata={"format": "pt"})
            _write(temporary / "head_config.json", {**common, "config": _HEAD_CONFIG})
        written = write_card(temporary, card)
        read_adapter(temporary)  # refuse now what could not be run later
    return written


_HEAD_CONFIG = {
    "activation_function": "tanh",
    "bias": True,
    "dropout_prob": None,
    "head_type": "classification",
    "label2id": {"LABEL_0": 0},
    "layers": 2,
    "num_labels": 1,
    "use_pooler": False,
}


def library_names(adapter: TrainableAdapter, stem: str = "bert") -> dict[str, Tensor]:
    """The tensors, head apart, by the names that the library gives them."""
    name, named = adapter.name, {}
    for number, (down, up) in enumerate(zip(adapter.down, adapter.up, strict=True)):
        place = f"{stem}.encoder.layer.{number}.output.adapters.{name}"
        for part, layer in (("adapter_down.0", down), ("adapter_up", up)):
            named[f"{place}.{part}.weight"] = layer.get_parameter("weight").detach()
            named[f"{place}.{part}.bias"] = layer.get_parameter("bias").detach()
    for side in ("F", "G") if adapter.coupling else ():
        for place_of, layer in zip((0, 2), getattr(adapter, side), strict=True):
            place = f"{stem}.invertible_adapters.{name}.{side}.{place_of}"
            named[f"{place}.weight"] = layer.weight.detach()
            named[f"{place}.bias"] = layer.bias.detach()
    return named


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
