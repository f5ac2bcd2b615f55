"""A sequence-to-sequence model of Hugging Face, read without running code of its own."""

from __future__ import annotations

import sys
from typing import Any

from polyrank.base.load import load_tokenizer, only_cached
from polyrank.base.quiet import quiet_transformers
from polyrank.base.roots import expanded
from polyrank.base.trusted import refuse_code_of
from polyrank.errors import ModuleError, first_line

LENGTH = 512  # tokens that a model without position embeddings is given


def load_seq2seq(name: str, what: str, advice: str) -> tuple[Any, Any]:
    """The model and its tokenizer.

    Args:
        name: a folder or Hub id with safetensors.
        what: it is for the user, as 'translator'.
        advice: what to give instead, for the message.

    Raises:
        ModuleError: a model that cannot be read.
    """
    folder = expanded(name)
    source = str(folder) if folder.is_dir() else name
    try:
        from transformers import AutoModelForSeq2SeqLM

        with quiet_transformers():
            cached = only_cached(source)
            refuse_code_of(source, cached)
            model = AutoModelForSeq2SeqLM.from_pretrained(
                source, use_safetensors=True, trust_remote_code=False, local_files_only=cached
            )
            return model, load_tokenizer(source, cached)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModuleError(
            f"the {what} '{name}' cannot be read: {first_line(error)}\n{advice}"
        ) from error


def positions(model: Any) -> int:
    """Tokens that a model has places for."""
    return int(getattr(model.config, "max_position_embeddings", None) or sys.maxsize)


def reads(model: Any, tokenizer: Any, length: int = LENGTH) -> int:
    """Tokens of an input that a model is given, at most `length`."""
    return min(length, int(tokenizer.model_max_length), positions(model))
