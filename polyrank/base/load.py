"""Load a base: the frozen pretrained encoder, its tokenizer, and the fingerprint of both.

torch and transformers are imported inside functions, so that `import polyrank.base` stays cheap.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.base import e5_small
from polyrank.base.card import BaseCard, read_base_card, stored_as
from polyrank.base.fingerprint import Fingerprint, fingerprint_of
from polyrank.base.quiet import quiet_transformers
from polyrank.base.roots import expanded, zoo_roots
from polyrank.base.trusted import refuse_code_of
from polyrank.errors import ModuleError, first_line
from polyrank.network import failures

if TYPE_CHECKING:
    import torch

DEFAULT_BASE = e5_small.NAME
BUNDLED_BASES = (e5_small.NAME,)


def is_for_retrieval(base: str) -> bool:
    """Whether a base's vectors are for retrieval, as far as its card says so without loading it."""
    if base in BUNDLED_BASES:
        return True
    folders = [expanded(base), *(root / base / "base" for root in zoo_roots())]
    try:
        return any(read_base_card(folder).vectors for folder in folders)
    except ModuleError:
        return False  # who loads the base is told what is wrong with its card


# Model types whose encoder takes `add_pooling_layer`; no module of ours uses the pooler.
_WITH_POOLER = {"bert", "roberta", "xlm-roberta", "camembert", "xmod", "xlm-roberta-xl"}


@dataclass(frozen=True, eq=False)
class Base:
    """A loaded base.

    Attributes:
        name: `e5-small`, a Hub id, or of a folder its last part (of `…/tiny/base`: `tiny`), so
            that no path of one machine ends up in a module's card.
        folder: what `from_pretrained` takes: a local folder, or the Hub id.
        model: the plain Hugging Face encoder in eval mode, without pooler where it has one.
        tokenizer: the fast tokenizer.
        fingerprint: of the weights as stored (taken in fp32, before any cast) and the vocabulary.
        card: which prefix its texts get, how its vectors are pooled, how much it reads.
    """

    name: str
    folder: str
    model: Any
    tokenizer: Any
    fingerprint: Fingerprint
    card: BaseCard = BaseCard()


def resolve_base(name: str) -> str:
    """What `from_pretrained` should load for a base's name: a folder or a Hub id.

    Raises:
        ModuleError: the package that a base is made from is absent, or a folder is not a
            checkpoint.
    """
    for root in [] if name.startswith((".", "/", "~")) else zoo_roots():
        if (root / name / "base" / "config.json").is_file():
            return str(root / name / "base")
    if name == e5_small.NAME:
        return str(e5_small.converted())
    if expanded(name).is_dir():
        folder = expanded(name)
        if not (folder / "config.json").is_file():
            raise ModuleError(
                f"the folder '{name}' is not a base: it has no config.json.\n"
                "Give a folder written by save_pretrained, with the model and its tokenizer."
            )
        return str(folder)
    return name


def only_cached(source: str) -> bool:
    """Whether a checkpoint must be on this machine: a folder, or of a Hub that is not reached.

    The Hub's client would try each file for half a minute, with a warning at every try.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if Path(source).is_dir() or constants.HF_HUB_OFFLINE:
        return True
    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except failures().any:
        return True
    return False


def load_base(name: str, dtype: torch.dtype | None = None, attention: str | None = None) -> Base:
    """Load a base by name.

    Args:
        name: `e5-small`, a Hub id such as `xlm-roberta-base`, or a folder.
        dtype: of the returned model; fp32 by default. The fingerprint does not depend on it.
        attention: 'eager' where its probabilities are needed; by default the library's choice.

    Raises:
        ModuleError: when the base is missing, unreachable, has no fast tokenizer, or its checkpoint
            lacks part of the encoder.
    """
    import torch

    source = resolve_base(name)
    model, tokenizer = _read(name, source, attention)
    card = read_base_card(source)
    if card.fingerprint is not None and card.stored == stored_as(source):
        fingerprint = Fingerprint(*card.fingerprint)
    else:
        fingerprint = fingerprint_of(model, tokenizer)  # before the cast: rounding would change it
    model = model.to(dtype or torch.float32).eval()
    return Base(base_name(name), source, model, tokenizer, fingerprint, card)


def base_name(name: str) -> str:
    """The name that a base has in cards and in the zoo: of a folder, its last part."""
    folder = expanded(name)
    if not (folder / "config.json").is_file():
        return name
    folder = folder.resolve()
    if folder.parent.name == "bases" and folder.name.startswith(f"{e5_small.NAME}-"):
        return e5_small.NAME
    return folder.parent.name if folder.name == "base" else folder.name


def _read(name: str, source: str, attention: str | None) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig, AutoModel

    try:
        with quiet_transformers():  # heads and poolers that we leave out are no news; see `missing`
            cached = only_cached(source)
            refuse_code_of(source, cached)
            config = AutoConfig.from_pretrained(source, local_files_only=cached)
            extra = {"add_pooling_layer": False} if config.model_type in _WITH_POOLER else {}
            model, report = AutoModel.from_pretrained(
                source,
                config=config,
                dtype=torch.float32,
                attn_implementation=attention,
                output_loading_info=True,
                local_files_only=cached,
                **extra,
            )
            tokenizer = load_tokenizer(source, cached)
    except (OSError, ValueError, json.JSONDecodeError) as error:
        raise ModuleError(_unreadable(name, source, error)) from error
    missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    if missing:
        raise ModuleError(
            f"the checkpoint of base '{name}' lacks {len(missing)} encoder tensors, e.g. "
            f"'{sorted(missing)[0]}'.\nGive a complete checkpoint of the encoder."
        )
    if not tokenizer.is_fast:
        raise ModuleError(
            f"the base '{name}' has no fast tokenizer, which routing needs for its offsets.\n"
            "Install 'sentencepiece' or convert it with transformers' convert_slow_tokenizer."
        )
    return model, tokenizer


def load_tokenizer(source: str, local_files_only: bool = False) -> Any:
    """A fast tokenizer, also one that transformers 5 saved.

    That lists as `extra_special_tokens` what version 4 calls `additional_special_tokens`, and names
    a class for fast tokenizers in general that version 4 knows as PreTrainedTokenizerFast.

    Args:
        source: a folder or Hub id.
        local_files_only: take a Hub id from the cache alone.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    options: dict[str, Any] = {"local_files_only": local_files_only, "trust_remote_code": False}
    saved = get_tokenizer_config(source, **options)
    listed = saved.get("extra_special_tokens")
    renamed: dict[str, Any] = {}
    if isinstance(listed, list):
        renamed = {"additional_special_tokens": listed, "extra_special_tokens": {}}
    if saved.get("tokenizer_class") == "TokenizersBackend":
        return PreTrainedTokenizerFast.from_pretrained(
            source, local_files_only=local_files_only, **renamed
        )
    return AutoTokenizer.from_pretrained(source, use_fast=True, **options, **renamed)


def _unreadable(name: str, source: str, error: Exception) -> str:
    reason = first_line(error)
    if Path(source).is_dir():
        return f"the base '{name}' cannot be read: {reason}\nSave it again with save_pretrained."
    return (
        f"the base '{name}' is neither bundled ({', '.join(BUNDLED_BASES)}), nor a folder, nor "
        f"reachable on the Hugging Face Hub: {reason}\nCheck the spelling; without network, fetch "
        f"it elsewhere with 'hf download {name} --local-dir DIR' and give DIR."
    )
