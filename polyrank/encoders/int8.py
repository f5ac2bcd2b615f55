"""Linear layers of an encoder in 8 bits on a CPU, by PyTorch's dynamic quantisation (FBGEMM).

Inputs are rounded to 8 bits as they come, weights once to 7, with a scale for each output: then the
sum of two products fits 16 bits, and processors without VNNI lose nothing. Two remedies for the few
large activations of such encoders: inputs that come from a LayerNorm are divided, and the weights
multiplied, by a factor for each channel (SmoothQuant, Xiao et al. 2023, arXiv 2211.10438, eq. 4,
α = ½); inputs of the second feed-forward layer are scaled token by token. Adapters, norms,
attention and embeddings stay in fp32.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.encoders.routed import MODEL_TYPES
from polyrank.errors import UsageError

LEVELS = 63  # weights are -63 .. 63 times their scale
SMOOTHED = ("attention.self.query", "attention.self.key", "attention.self.value",
            "intermediate.dense")  # fmt: skip
PLACES = (*SMOOTHED, "attention.output.dense", "output.dense")
TINY = 1e-6


class Int8Linear(nn.Module):
    """What a linear layer computes, in 8 bits.

    Args:
        linear: kept, and read again by `pack`, so that masks on its weights come through.
        highest: of each input channel over calibration texts, (in,); None for no smoothing.
        by_token: whether each token has a scale of its own, rather than all of a call.
    """

    def __init__(self, linear: nn.Linear, highest: Tensor | None, by_token: bool) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.by_token = by_token
        self.factors: Tensor | None = None
        if highest is not None:
            most = self.weight.detach().abs().amax(dim=0)
            self.factors = (highest.clamp(min=TINY) / most.clamp(min=TINY)).sqrt()  # (in,)
        self.packed = self.pack()

    def pack(self) -> Any:
        """The weights as they are now, rounded: w ≈ scale · q, a scale for each output."""
        weight = self.weight.detach().float()  # (out, in)
        if self.factors is not None:
            weight = weight * self.factors
        scales = weight.abs().amax(dim=1).clamp(min=TINY) / LEVELS
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        with warnings.catch_warnings():  # torch announces that this will move to another package
            warnings.simplefilter("ignore", UserWarning)
            rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        bias = None if self.bias is None or self.by_token else self.bias.detach().float()
        return torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) → (..., out), fp32."""
        if self.factors is not None:
            x = x / self.factors
        if not self.by_token:
            return self._multiply(x)
        scale = x.abs().amax(dim=-1, keepdim=True).clamp(min=TINY)
        y = self._multiply(x / scale).mul_(scale)
        return y if self.bias is None else y.add_(self.bias.detach())

    def _multiply(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.quantized.linear_dynamic(x, self.packed, reduce_range=False)
        return y


def quantised(encoder: Any, tokenizer: Any) -> Any:
    """An encoder with the linear layers of its body in 8 bits, that shares all tensors with this.

    Args:
        encoder: in fp32 on a CPU, of type bert, roberta or alike; left as it is.
        tokenizer: of the calibration texts.

    Raises:
        UsageError: another architecture.
    """
    if encoder.config.model_type not in MODEL_TYPES or encoder.device.type != "cpu":
        raise UsageError(
            "int8 runs on a CPU, over encoders of type bert, roberta or xlm-roberta.\n"
            "Use precision fp32 or bf16 here."
        )
    highest = calibrated(encoder, tokenizer)
    held = [*encoder.parameters(), *encoder.buffers()]
    shared = copy.deepcopy(encoder, {id(tensor): tensor for tensor in held})
    for name, module in list(shared.encoder.layer.named_modules()):
        if isinstance(module, nn.Linear) and (place := name.split(".", 1)[1]) in PLACES:
            smooth = highest[name] if place in SMOOTHED else None
            made = Int8Linear(module, smooth, by_token=place == "output.dense")
            shared.encoder.layer.set_submodule(name, made)
    return shared.eval()


def layers_of(encoder: Any) -> list[Int8Linear]:
    """The layers in 8 bits, always in one order."""
    return [module for module in encoder.modules() if isinstance(module, Int8Linear)]


@torch.inference_mode()
def calibrated(encoder: Any, tokenizer: Any) -> Mapping[str, Tensor]:
    """Per layer the highest absolute input of each channel over the calibration texts, (in,)."""
    highest: dict[str, Tensor] = {}

    def seen(name: str, inputs: tuple[Tensor, ...]) -> None:
        found = inputs[0].flatten(0, -2).abs().amax(dim=0).float()
        highest[name] = torch.maximum(highest.get(name, found), found)

    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: seen(name, inputs))
        for name, module in encoder.encoder.layer.named_modules()
        if isinstance(module, nn.Linear) and name.split(".", 1)[1] in SMOOTHED
    ]
    try:
        for text in TEXTS:
            ids = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")["input_ids"]
            encoder(input_ids=ids)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: value.clone() for name, value in highest.items()}


# Article 1 of the Universal Declaration of Human Rights, in several scripts.
TEXTS = (
    "query: All human beings are born free and equal in dignity and rights.",
    "passage: They are endowed with reason and conscience and should act towards one another in a "
    "spirit of brotherhood.",
    "passage: Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "passage: Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "passage: Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
    "passage: Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "passage: 人人生而自由，在尊严和权利上一律平等。",
    "passage: Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.",
    "passage: يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.",
    "passage: सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "query: In 1948, 48 states voted for it; 8 abstained (Resolution 217 A).",
)
