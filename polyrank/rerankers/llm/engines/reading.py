"""Language models and tokenizers from folders and the Hub: safetensors alone, and no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyrank.base import expanded, load_tokenizer, only_cached
from polyrank.base.quiet import quiet_transformers
from polyrank.base.trusted import refuse_code_of
from polyrank.errors import ModuleError, first_line
from polyrank.rerankers.identity import updated_base


def read_language_model(name: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """A language model in eval mode, and its fast tokenizer.

    Raises:
        ModuleError: no such model, weights that are not safetensors or lack tensors, code of its
            own, or no fast tokenizer.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    folder = expanded(name)
    if (base := updated_base(folder)) is not None:
        return _updated(folder, base, dtype)
    source = str(folder) if folder.is_dir() else name
    try:
        with quiet_transformers():
            cached = only_cached(source)
            refuse_code_of(source, cached)
            options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": cached}
            config = AutoConfig.from_pretrained(source, **options)
            auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
            loaded: Any = auto.from_pretrained(
                source,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModuleError(_unreadable(name, error)) from error
    model, report = loaded
    if missing := report["missing_keys"]:
        raise ModuleError(
            f"the model '{name}' lacks {len(missing)} tensors, e.g. '{sorted(missing)[0]}', so it "
            "is not a language model with its output layer.\nGive a complete checkpoint."
        )
    return model.eval(), read_tokenizer(name)


def _updated(folder: Path, base: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model that a folder of low-rank updates was trained from, with these added, and the
    folder's tokenizer."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ModuleError(
            f"'{folder}' holds low-rank updates, which need PEFT.\n"
            "Install it with:  pip install 'polyrank[rl]'"
        ) from error
    if updated_base(expanded(base)) is not None:
        raise ModuleError(f"'{folder}' holds updates for '{base}', which holds updates itself")
    model, _ = read_language_model(base, dtype)
    try:
        updated = PeftModel.from_pretrained(model, str(folder), use_safetensors=True)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModuleError(_unreadable(str(folder), error)) from error
    return updated.merge_and_unload().eval(), read_tokenizer(str(folder))


def read_tokenizer(name: str) -> Any:
    """The fast tokenizer of a model.

    Raises:
        ModuleError: no such tokenizer, or only a slow one.
    """
    folder = expanded(name)
    source = str(folder) if folder.is_dir() else name
    try:
        with quiet_transformers():
            tokenizer = load_tokenizer(source, only_cached(source))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModuleError(_unreadable(name, error, "tokenizer")) from error
    if not tokenizer.is_fast:
        raise ModuleError(
            f"the model '{name}' has no fast tokenizer, which is needed to cut documents.\n"
            "Convert its tokenizer and save it again."
        )
    return tokenizer


def _unreadable(name: str, error: Exception, what: str = "language model") -> str:
    reason = first_line(error)
    return (
        f"the {what} '{name}' cannot be read: {reason}\nGive a folder that save_pretrained wrote, "
        "or a Hub id, with safetensors and without code of its own."
    )
