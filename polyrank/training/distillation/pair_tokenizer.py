"""A fast tokenizer cut to some of its entries, which reads texts of those entries as before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyrank.errors import ModuleError

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_KEPT = ("model_max_length", "padding_side", "truncation_side", "clean_up_tokenization_spaces")


def trim_tokenizer(tokenizer: Any, kept: Sequence[int]) -> Any:
    """The tokenizer with the entries `kept` only, numbered anew in their order.

    Args:
        tokenizer: a fast tokenizer whose model is Unigram, WordPiece or BPE.
        kept: ids in increasing order, closed under `with_needed`.

    Returns:
        A `PreTrainedTokenizerFast` with the same normalisation, templates and special tokens.

    Raises:
        ModuleError: a tokenizer of another kind.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    record = _record(tokenizer)
    new = {old: number for number, old in enumerate(kept)}
    model = record["model"]
    record["model"] = {**model, **_MODELS[_kind(model)](model, new)}
    record["added_tokens"] = [{**t, "id": new[t["id"]]} for t in record["added_tokens"]]
    record["post_processor"] = _renumbered(record["post_processor"], new)
    record["padding"] = record["truncation"] = None  # each call says its own
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(record)),
        model_input_names=list(tokenizer.model_input_names),
        **{name: getattr(tokenizer, name) for name in _KEPT},
        **tokenizer.special_tokens_map,
    )


def always_kept(tokenizer: Any) -> set[int]:
    """Ids of special and added tokens, of bytes, and of a Unigram model its least likely entry.

    That entry sets the price of an unknown character, which must not change: with another price a
    text of kept entries could be cut differently.
    """
    record = _record(tokenizer)
    model, kept = record["model"], {token["id"] for token in record["added_tokens"]}
    kept |= set(tokenizer.all_special_ids)
    vocabulary = _entries(model)
    if _kind(model) == "Unigram":
        scores = [score for _, score in model["vocab"]]
        kept.add(scores.index(min(scores)))
        kept.add(model["unk_id"] or 0)
    if _byte_level(record):
        from tokenizers.pre_tokenizers import ByteLevel

        kept |= {vocabulary[c] for c in ByteLevel.alphabet() if c in vocabulary}
    return kept | {i for token, i in vocabulary.items() if _BYTE.fullmatch(token)}


def with_needed(tokenizer: Any, ids: Iterable[int]) -> list[int]:
    """The ids, and those without which these could not be found or a text would be all unknown.

    For every character of a kept entry, the entry of that character alone (in WordPiece also within
    a word), so that a new word in a known script is spelled out; in BPE also the parts that are
    merged to a kept entry.

    Returns:
        Ids in increasing order.
    """
    model = _record(tokenizer)["model"]
    vocabulary = _entries(model)
    names = {i: token for token, i in vocabulary.items()}
    kept = {i for i in ids if i in names}
    rest = {i for i in ids if i not in names}  # added tokens beyond the model's own
    prefix = model.get("continuing_subword_prefix") or ""
    characters = {c for i in kept for c in _bare(names[i], prefix)}
    for character in characters:
        for spelled in (character, f"{prefix}{character}", f"▁{character}"):
            if spelled in vocabulary:
                kept.add(vocabulary[spelled])
    if _kind(model) == "BPE":
        parts: dict[str, list[tuple[str, str]]] = {}
        for left, right in _merges(model):
            parts.setdefault(_merged(left, right, prefix), []).append((left, right))
        todo = [names[i] for i in kept]
        while todo:
            for pair in parts.get(todo.pop(), ()):
                for part in pair:
                    if vocabulary[part] not in kept:
                        kept.add(vocabulary[part])
                        todo.append(part)
    return sorted(kept | rest)


def _record(tokenizer: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return record


def _kind(model: Mapping[str, Any]) -> str:
    kind = str(model.get("type"))
    if kind not in _MODELS:
        raise ModuleError(
            f"a tokenizer of the kind {kind} cannot be trimmed.\n"
            f"Use a base whose tokenizer is one of {', '.join(_MODELS)}."
        )
    return kind


def _entries(model: Mapping[str, Any]) -> dict[str, int]:
    """Token → id, as the model itself numbers them."""
    if _kind(model) == "Unigram":
        return {token: number for number, (token, _) in enumerate(model["vocab"])}
    return dict(model["vocab"])


def _bare(token: str, prefix: str) -> str:
    return token[len(prefix) :] if prefix and token.startswith(prefix) else token


def _merged(left: str, right: str, prefix: str) -> str:
    return left + _bare(right, prefix)


def _merges(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs in their order; older files write them as one string."""
    return [
        (merge[0], merge[1]) if isinstance(merge, list) else tuple(merge.split(" "))
        for merge in model["merges"]
    ]


def _byte_level(part: Any) -> bool:
    if isinstance(part, dict):
        return part.get("type") == "ByteLevel" or any(map(_byte_level, part.values()))
    return isinstance(part, list) and any(map(_byte_level, part))


def _unigram(model: Mapping[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    pieces = [piece for number, piece in enumerate(model["vocab"]) if number in new]
    return {"vocab": pieces, "unk_id": new[model["unk_id"]]}


def _wordpiece(model: Mapping[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    return {"vocab": {token: new[i] for token, i in model["vocab"].items() if i in new}}


def _bpe(model: Mapping[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    vocabulary = _wordpiece(model, new)["vocab"]
    prefix = model.get("continuing_subword_prefix") or ""
    merges = [
        [left, right]
        for left, right in _merges(model)
        if {left, right, _merged(left, right, prefix)} <= vocabulary.keys()
    ]
    return {"vocab": vocabulary, "merges": merges}


_MODELS = {"Unigram": _unigram, "WordPiece": _wordpiece, "BPE": _bpe}


def _renumbered(part: Any, new: Mapping[int, int]) -> Any:
    """A post-processor with the ids of its special tokens changed, whatever it is made of."""
    if part is None:
        return None
    if part["type"] == "Sequence":
        return {**part, "processors": [_renumbered(one, new) for one in part["processors"]]}
    if part["type"] == "TemplateProcessing":
        tokens = {
            name: {**token, "ids": [new[i] for i in token["ids"]]}
            for name, token in part["special_tokens"].items()
        }
        return {**part, "special_tokens": tokens}
    ends = {end: [part[end][0], new[part[end][1]]] for end in ("cls", "sep") if end in part}
    return {**part, **ends}
