"""What all languages share in a model with language modules of its own, such as an XMOD."""

from __future__ import annotations

from typing import Any

# Parts of parameter names that 'colbert-xm' leaves alone: embeddings, and language modules as the
# adapters library and XMOD name them.
FROZEN = ("embeddings.", ".adapters.", "adapter_modules.", "adapter_layer_norm.")


def free_shared(model: Any) -> None:
    """Let move what all languages share, and nothing else."""
    for name, parameter in model.base_model.named_parameters():
        parameter.requires_grad_(not any(part in name for part in FROZEN))
