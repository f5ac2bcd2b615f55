"""The fingerprint of a base: which weights and which vocabulary a module was made for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

DIGITS = 16  # hex digits kept of each sha256: 64 bits, enough to tell two bases apart

# What classes of one checkpoint have over others, and no module of ours uses: poolers, and heads
# of those classes whose `base_model` is the whole of them (T5's).
_HEADS = ("pooler.", "lm_head.", "classifier.", "score.", "qa_outputs.", "heads.")

# Parts of a state dict that the `adapters` library adds to an encoder.
_ADDED_BY_ADAPTERS = (
    ".adapters.",
    "invertible_adapters.",
    "adapter_fusion_layer.",
    "prefix_tuning",
    "prompt_tuning",
    "shared_parameters.",
    "loras.",
    "refts.",
)


@dataclass(frozen=True)
class Fingerprint:
    """What a module must match: short sha256 prefixes of a base's weights and of its vocabulary."""

    weights: str
    vocabulary: str

    def __str__(self) -> str:
        return f"weights {self.weights[:8]}…, vocabulary {self.vocabulary[:8]}…"


def fingerprint_of(model: Any, tokenizer: Any) -> Fingerprint:
    """Fingerprint a model that is already loaded, through whichever class.

    The weights' hash runs over name, shape and fp16-rounded bytes of every tensor of the model,
    sorted by name; poolers, heads and added adapters are left out. AutoModel, AutoModelForMaskedLM
    or AutoModelForCausalLM, and AutoAdapterModel thus agree, and so do fp32 and fp16 copies of one
    checkpoint. (bf16 is coarser than fp16 in this range: take the fingerprint before such a cast.)

    Args:
        model: a Hugging Face model, with or without heads, adapters or prefix.
        tokenizer: its tokenizer; the hash runs over the sorted (token, id) pairs.
    """
    return Fingerprint(_weights_hash(model), _vocabulary_hash(tokenizer))


def _weights_hash(model: Any) -> str:
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.base_model.state_dict().items()):
        if name.startswith(_HEADS) or name.endswith("position_ids"):
            continue
        if any(part in name for part in _ADDED_BY_ADAPTERS):
            continue
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().to("cpu", torch.float16).contiguous().numpy().tobytes())
    return digest.hexdigest()[:DIGITS]


def _vocabulary_hash(tokenizer: Any) -> str:
    pairs = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=True).encode()).hexdigest()[:DIGITS]
