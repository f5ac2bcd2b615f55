"""What scores depend on: hashes of weights, for resume and caches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from polyrank.base import Base, expanded, only_cached
from polyrank.errors import ModuleError, first_line
from polyrank.modules.card import sha256
from polyrank.zoo.find import list_modules

UPDATES = "adapter_config.json"  # what PEFT writes beside low-rank updates


def composition_identity(
    base: Base,
    ranking_files: Mapping[str, str],
    routing: str,
    language_kind: str,
    zoo: str | Path | None,
) -> dict[str, str]:
    """Hashes of a base, a ranking module, and the language modules that may lie beneath it.

    Args:
        ranking_files: sha256 of the ranking module's files by their names.
        routing: 'none' uses no language module; otherwise any may be used, since languages become
            known only as texts come.
    """
    weights = ", ".join(f"{name} {ranking_files[name][:12]}" for name in sorted(ranking_files))
    identity = {"base weights": str(base.fingerprint), "ranking weights": weights}
    if routing != "none":
        modules = list_modules(base.name, "language", language_kind, zoo=zoo)
        every = sorted(f"{m.card.name} {sorted(m.card.files.items())}" for m in modules)
        digest = hashlib.sha256("\n".join(every).encode()).hexdigest()[:12]
        identity["language weights"] = f"{len(every)} modules {digest}"
    return identity


def weights_of(name: str | Path, model: Any) -> str:
    """What tells whether a folder's weights and tokenizer, or those of a Hub id, are the same."""
    folder = expanded(name)
    if not folder.is_dir():
        return f"{name} {model.config._commit_hash}"
    files = sorted(folder.rglob("*.safetensors")) + sorted(folder.glob("tokenizer*.json"))
    told = ", ".join(f"{f.name} {sha256(f)[:12]}" for f in files)
    base = updated_base(folder)
    return told if base is None else f"{told}, over {weights_of(base, model)}"


def stored_weights(name: str | Path) -> str:
    """`weights_of` a model that is not loaded.

    Raises:
        ModuleError: there is none of that name, or it cannot be reached.
    """
    from transformers import AutoConfig

    own = str(updated_base(expanded(name)) or name)
    config = None
    if not expanded(own).is_dir():
        try:
            config = AutoConfig.from_pretrained(own, local_files_only=only_cached(own))
        except (OSError, ValueError) as error:
            raise ModuleError(f"the model '{name}' cannot be read: {first_line(error)}") from error
    return weights_of(name, SimpleNamespace(config=config))


def updated_base(folder: Path) -> str | None:
    """The model that a folder of PEFT's low-rank updates is for; None for another folder.

    Raises:
        ModuleError: updates that do not say.
    """
    path = folder / UPDATES
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModuleError(
            f"'{path}' does not say which model the updates are for: {error!r}"
        ) from error
