"""LoRA by PEFT: attach, and in the end leave beside the weights or add to them."""

from __future__ import annotations

from typing import Any

from polyrank.errors import UsageError
from polyrank.training.llm.recipe import LowRank


def with_lora(model: Any, lora: LowRank) -> Any:
    """The model with trainable low-rank updates on its linear layers, all else frozen.

    Raises:
        UsageError: PEFT is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise UsageError(
            "--lora needs PEFT.\nInstall it with:  pip install 'polyrank[rl]'"
        ) from error
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",  # PEFT leaves the output layer out
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def merged(model: Any) -> Any:
    """The model with its updates added to the weights."""
    return model.merge_and_unload()
