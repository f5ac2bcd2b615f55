"""ColBERT checkpoints of other systems: PyLate's layout, read and written; Stanford's and that of
sentence-transformers 6, read.

PyLate: `modules.json` lists a Transformer and a Dense layer; `config_sentence_transformers.json`
holds lengths, markers and skip-list. sentence-transformers 6 lists two modules more, see
`multi_vector`. Stanford: one Hugging Face checkpoint whose `linear.weight` lies beside the encoder,
and `artifact.metadata` with its settings. None is imported: their transformers versions exclude
ours.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import load_tokenizer
from polyrank.base.quiet import quiet_transformers
from polyrank.base.trusted import refuse_code
from polyrank.errors import ModuleError
from polyrank.late_interaction.multi_vector import Part, check_chain, is_multi_vector, rules_of
from polyrank.late_interaction.skiplist import skipped_ids
from polyrank.modules.card import sha256
from polyrank.modules.projection import Projection, TokenRules
from polyrank.modules.tensor_files import read_tensors


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A whole late-interaction model: encoder in fp32, fast tokenizer, projection."""

    encoder: Any
    tokenizer: Any
    projection: Projection


def is_checkpoint(folder: str | Path) -> bool:
    """Whether a folder holds a ColBERT checkpoint in one of these layouts."""
    folder = Path(folder)
    return (folder / "modules.json").is_file() or (folder / "artifact.metadata").is_file()


def weight_files(folder: str | Path) -> dict[str, str]:
    """sha256 of every file of weights in a checkpoint, by its path there."""
    folder = Path(folder)
    paths = (path for path in folder.rglob("*") if path.suffix in (".safetensors", ".bin"))
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(paths)}


def read_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a ColBERT checkpoint.

    Raises:
        ModuleError: a missing or broken file, or a model that polyrank does not compute alike.
    """
    folder = Path(folder)
    read = _read_modules if (folder / "modules.json").is_file() else _read_stanford
    try:
        return read(folder)
    except ModuleError:
        raise
    except Exception as error:  # each reader has its own kinds; all mean: not such a checkpoint
        raise ModuleError(
            f"the ColBERT checkpoint in '{folder}' cannot be read: {error!r}\nFetch it again."
        ) from error


def _read_modules(folder: Path) -> Checkpoint:
    """A chain of modules: sentence-transformers' own, or PyLate's."""
    parts = [
        (entry["type"].rsplit(".", 1)[-1], entry["path"])
        for entry in _json(folder / "modules.json")
    ]
    return (_read_multi_vector if is_multi_vector(parts) else _read_pylate)(folder, parts)


# --- sentence-transformers 6 ---------------------------------------------------------------------


def _read_multi_vector(folder: Path, parts: Sequence[Part]) -> Checkpoint:
    check_chain(folder, parts)
    dense = folder / parts[1][1]
    _check_dense(_json(dense / "config.json"), folder)
    encoder, tokenizer = _load(folder / parts[0][1])
    tensors = read_tensors(dense, "model.safetensors", "pytorch_model.bin")
    weight = tensors["linear.weight"].float()
    longest = encoder.config.max_position_embeddings
    rules = rules_of(folder, parts, tokenizer, longest, dim=weight.shape[0])
    return Checkpoint(
        encoder, tokenizer, Projection(rules, weight, _float(tensors.get("linear.bias")))
    )


# --- PyLate --------------------------------------------------------------------------------------


def _read_pylate(folder: Path, modules: Sequence[Part]) -> Checkpoint:
    kinds = [kind for kind, _ in modules]
    if kinds != ["Transformer", "Dense"]:
        raise ModuleError(
            f"'{folder}' is a chain of {', '.join(kinds)}; polyrank reads Transformer + Dense, and "
            "what sentence-transformers 6 saves.\nSave it again with PyLate."
        )
    settings = _json(folder / "config_sentence_transformers.json")
    dense = folder / modules[1][1]
    _check_dense(_json(dense / "config.json"), folder)
    encoder, tokenizer = _load(folder / modules[0][1])
    tensors = read_tensors(dense, "model.safetensors", "pytorch_model.bin")
    words = settings.get("skiplist_words")
    ids = tokenizer.convert_tokens_to_ids(list(string.punctuation if words is None else words))
    query_length = int(settings.get("query_length") or 32)
    expands = settings.get("do_query_expansion", True)
    rules = TokenRules(
        query_marker=_marker(tokenizer, settings.get("query_prefix"), "[Q] "),
        document_marker=_marker(tokenizer, settings.get("document_prefix"), "[D] "),
        dim=tensors["linear.weight"].shape[0],
        query_length=query_length,
        document_length=int(settings.get("document_length") or 180),
        augment_to=query_length if expands else 0,
        attend=bool(settings.get("attend_to_expansion_tokens")),
        skiplist="listed",
        skip_ids=tuple(sorted(set(ids))),
    )
    bias = tensors.get("linear.bias")
    projection = Projection(rules, tensors["linear.weight"].float(), _float(bias))
    return Checkpoint(encoder, tokenizer, projection)


def _check_dense(config: Mapping[str, Any], folder: Path) -> None:
    activation = str(config.get("activation_function", "")).rsplit(".", 1)[-1]
    if activation not in ("", "Identity") or config.get("use_residual"):
        raise ModuleError(
            f"the Dense layer in '{folder}' has activation '{activation}' or a residual; polyrank "
            "runs a plain linear projection only.\nUse another checkpoint."
        )


def _marker(tokenizer: Any, prefix: str | None, usual: str) -> int | None:
    """The one id of a prefix such as '[Q] '; None for an empty one."""
    prefix = usual if prefix is None else prefix
    if not prefix:
        return None
    number = tokenizer.convert_tokens_to_ids(prefix)
    if number is None or number == tokenizer.unk_token_id:
        raise ModuleError(
            f"the marker {prefix!r} is not in the checkpoint's vocabulary.\n"
            "Save it again with PyLate, which adds its markers to the tokenizer."
        )
    return int(number)


def write_pylate(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model in PyLate's layout, whose vectors PyLate then computes alike.

    Markers beyond the vocabulary become entries of it, '[Q] ' and '[D] '.

    Args:
        folder: an empty folder.

    Raises:
        ModuleError: rules that PyLate does not have.
    """
    from safetensors.torch import save_file

    rules, tokenizer = checkpoint.projection.rules, checkpoint.tokenizer
    _check_exportable(checkpoint)
    prefixes = _own_markers(checkpoint)
    checkpoint.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write(folder / "sentence_bert_config.json", {
        "max_seq_length": rules.document_length - 1, "do_lower_case": False,
    })  # fmt: skip
    _write(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ])  # fmt: skip
    size = checkpoint.encoder.get_input_embeddings().num_embeddings
    skipped = skipped_ids(tokenizer, rules, size).nonzero().squeeze(1).tolist()
    _write(folder / "config_sentence_transformers.json", {
        "model_type": "ColBERT",
        "similarity_fn_name": "MaxSim",
        "query_prefix": prefixes[0],
        "document_prefix": prefixes[1],
        "query_length": rules.query_length,
        "document_length": rules.document_length,
        "attend_to_expansion_tokens": rules.attend,
        "do_query_expansion": rules.augment_to > 0,
        "skiplist_words": tokenizer.convert_ids_to_tokens(skipped),
        "prompts": {},
    })  # fmt: skip
    (folder / "1_Dense").mkdir()
    weight, bias = checkpoint.projection.weight, checkpoint.projection.bias
    assert weight is not None  # only without training, whose rules were refused
    _write(folder / "1_Dense" / "config.json", {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "bias": bias is not None,
        "activation_function": "torch.nn.modules.linear.Identity",
        "use_residual": False,
    })  # fmt: skip
    tensors = {"linear.weight": weight} | ({} if bias is None else {"linear.bias": bias})
    save_file(
        {name: tensor.cpu().contiguous() for name, tensor in tensors.items()},
        folder / "1_Dense" / "model.safetensors",
    )


def _check_exportable(checkpoint: Checkpoint) -> None:
    rules = checkpoint.projection.rules
    if checkpoint.encoder.config.model_type == "xmod":
        raise ModuleError(
            "PyLate gives an XMOD no language, so it cannot compute these vectors.\n"
            "Use the model with polyrank."
        )
    if rules.query_prefix or rules.document_prefix or not rules.specials:
        raise ModuleError(
            "PyLate scores every token of a query, prefixes and special tokens too, so it cannot "
            "compute these scores.\nUse the model with polyrank."
        )
    if rules.augment_to not in (0, rules.query_length):
        raise ModuleError(
            f"queries are filled up to {rules.augment_to} tokens but read to {rules.query_length}; "
            "PyLate has one length for both.\nLoad it with "
            f"query_length={rules.augment_to}, which cuts longer queries, or train with "
            "--augment-to as --query-length, or 0."
        )


def _own_markers(checkpoint: Checkpoint) -> tuple[str, str]:
    """The markers' entries; those beyond the vocabulary are added to it and to the embeddings."""
    rules, tokenizer = checkpoint.projection.rules, checkpoint.tokenizer
    markers = checkpoint.projection.markers
    if markers is None:
        ids = (rules.query_marker, rules.document_marker)
        query, document = ("" if i is None else tokenizer.convert_ids_to_tokens(i) for i in ids)
        return query, document
    names = ("[Q] ", "[D] ")
    tokenizer.add_tokens(list(names))
    numbers = tokenizer.convert_tokens_to_ids(list(names))
    encoder = checkpoint.encoder
    size = max(len(tokenizer), encoder.config.vocab_size)
    encoder.resize_token_embeddings(size, mean_resizing=False)
    with torch.no_grad():
        encoder.get_input_embeddings().weight[numbers] = markers.to(encoder.dtype)
    return names


# --- Stanford ------------------------------------------------------------------------------------


def _read_stanford(folder: Path) -> Checkpoint:
    """`HF_ColBERT`: the encoder under its prefix (`bert.`, `roberta.`), and `linear.weight`."""
    metadata = _json(folder / "artifact.metadata")
    settings = metadata.get("config", metadata)
    if settings.get("similarity", "cosine") != "cosine":
        raise ModuleError(
            f"the checkpoint in '{folder}' scores by '{settings['similarity']}'; polyrank scores "
            "by cosine.\nUse another checkpoint."
        )
    encoder, tokenizer = _load(folder)
    weight = read_tensors(folder, "model.safetensors", "pytorch_model.bin")["linear.weight"].float()
    length = int(settings.get("query_maxlen", 32))
    rules = TokenRules(
        query_marker=_known(tokenizer, settings.get("query_token_id", "[unused0]")),
        document_marker=_known(tokenizer, settings.get("doc_token_id", "[unused1]")),
        dim=weight.shape[0],
        query_length=length,
        document_length=int(settings.get("doc_maxlen", 220)),
        augment_to=length,
        attend=bool(settings.get("attend_to_mask_tokens", False)),
        skiplist="listed",
        skip_ids=_ascii_skiplist(tokenizer) if settings.get("mask_punctuation", True) else (),
    )
    return Checkpoint(encoder, tokenizer, Projection(rules, weight))


def _known(tokenizer: Any, token: str) -> int:
    """A marker's id. Where the vocabulary lacks it, as XLM-R's lacks '[unused0]', the checkpoint
    was trained with <unk> in its place, and that is what must be read again."""
    return int(tokenizer.convert_tokens_to_ids(token))


def _ascii_skiplist(tokenizer: Any) -> tuple[int, ...]:
    """The first id of each ASCII mark, as ColBERT takes it."""
    rows = tokenizer(list(string.punctuation), add_special_tokens=False)["input_ids"]
    return tuple(sorted({row[0] for row in rows if row}))


# --- files ---------------------------------------------------------------------------------------


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModel

    with quiet_transformers():  # the projection is not part of the encoder, as it says
        refuse_code(folder)
        config = AutoConfig.from_pretrained(folder)
        pooler = {} if config.model_type == "modernbert" else {"add_pooling_layer": False}
        encoder, report = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, output_loading_info=True, **pooler
        )
        tokenizer = load_tokenizer(str(folder))
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModuleError(
            f"the checkpoint in '{folder}' lacks {len(missing)} encoder tensors, e.g. "
            f"'{missing[0]}'.\nFetch it again."
        )
    return encoder.eval(), tokenizer


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, record: Any) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()
