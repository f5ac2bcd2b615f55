"""The rules of a multi-vector (ColBERT) model that sentence-transformers 6 saved.

Its `modules.json` lists a Transformer, a Dense layer, a MultiVectorMask and Normalize. Lengths and
query expansion stand with the Transformer, in `sentence_bert_config.json`; markers are prompts, in
`config_sentence_transformers.json`; the skip-list is the mask's. What polyrank does not compute
alike is refused, not left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyrank.errors import ModuleError
from polyrank.modules.projection import TokenRules

MASK, NORMALIZE = "MultiVectorMask", "Normalize"
CHAIN = {"Transformer", "Dense", MASK, NORMALIZE}
TOKENS = "token_embeddings"  # what every module must read
SIMILARITIES = (None, "maxsim")
PROBE = "a"  # a text that a prompt is tried with

Part = tuple[str, str]  # a module's kind, and its folder inside the model's


def is_multi_vector(parts: Sequence[Part]) -> bool:
    """Whether these modules are such a model's, rather than PyLate's."""
    return MASK in {kind for kind, _ in parts}


def check_chain(folder: Path, parts: Sequence[Part]) -> None:
    """Refuse modules of other kinds, in another number, or of other values than token vectors.

    Raises:
        ModuleError: naming them.
    """
    kinds = [kind for kind, _ in parts]
    if sorted(kinds) != sorted(CHAIN) or kinds[:2] != ["Transformer", "Dense"]:
        raise ModuleError(
            f"'{folder}' is a chain of {', '.join(kinds)}; polyrank reads Transformer, Dense, "
            f"{MASK} and {NORMALIZE}.\nUse another checkpoint."
        )
    for kind, path in parts[1:]:
        config = _json(folder / path / "config.json")
        for side in ("module_input_name", "module_output_name"):
            if config.get(side, TOKENS) != TOKENS:
                raise ModuleError(
                    f"the {kind} of '{folder}' has the {side} '{config[side]}', not '{TOKENS}', so "
                    "its vectors are not of tokens.\nUse another checkpoint."
                )


def rules_of(
    folder: Path, parts: Sequence[Part], tokenizer: Any, longest: int, dim: int
) -> TokenRules:
    """How such a model turns texts into token vectors.

    Args:
        parts: its modules.
        tokenizer: the model's.
        longest: tokens that the encoder can read.
        dim: width of a token vector.

    Raises:
        ModuleError: what polyrank does not compute alike.
    """
    settings = _json(folder / "config_sentence_transformers.json")
    if settings.get("similarity_fn_name") not in SIMILARITIES:
        raise _other(folder, f"scores by '{settings['similarity_fn_name']}'", "sums of MaxSim")
    places = dict(parts)
    reading = _json(folder / places["Transformer"] / "sentence_bert_config.json")
    if reading.get("processing_kwargs"):
        raise _other(folder, "has 'processing_kwargs' of its own", "the usual ones")
    most = min(int(reading.get("max_seq_length") or longest), tokenizer.model_max_length, longest)
    query_length, augment_to, attend = _expansion(folder, reading, tokenizer, most)
    prompts = {name: text for name, text in (settings.get("prompts") or {}).items() if text}
    written = next((p for p in ("document", "passage", "corpus") if p in prompts), "document")
    return TokenRules(
        query_marker=_marker(folder, tokenizer, prompts.get("query")),
        document_marker=_marker(folder, tokenizer, prompts.get(written)),
        dim=dim,
        query_length=query_length,
        document_length=min(int(reading.get("document_length") or most), most),
        augment_to=augment_to,
        attend=attend,
        skiplist="listed",
        skip_ids=_skipped(folder, _json(folder / places[MASK] / "config.json"), tokenizer),
    )


def _expansion(
    folder: Path, reading: Mapping[str, Any], tokenizer: Any, most: int
) -> tuple[int, int, bool]:
    """Tokens of a query that are read, to which it is filled up, and whether these are attended to.

    'fixed' queries have that one length; 'min' ones are filled up to it, and may be longer.
    """
    length = min(int(reading.get("query_length") or most), most)
    expansion = reading.get("query_expansion")
    if expansion is None:
        return length, 0, False
    if expansion.get("token") not in (None, tokenizer.mask_token):
        raise _other(folder, f"fills queries up with '{expansion['token']}'", "the mask token")
    filled = int(expansion["length"])
    longer = {"fixed": filled, "min": max(length, filled)}
    if expansion["strategy"] not in longer:
        raise _other(folder, f"fills queries up by '{expansion['strategy']}'", "'fixed' and 'min'")
    return longer[expansion["strategy"]], filled, bool(expansion.get("attend"))


def _marker(folder: Path, tokenizer: Any, prompt: str | None) -> int | None:
    """The one token that a prompt is; None for no prompt.

    A prompt is put before the text, which is then read as one: it is a marker where that gives its
    one token and the text's.
    """
    if not prompt:
        return None
    plain = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
    marked = tokenizer(prompt + PROBE, add_special_tokens=False)["input_ids"]
    if marked[1:] != plain or marked[0] == tokenizer.unk_token_id:
        raise _other(folder, f"puts the prompt {prompt!r} before texts", "prompts of one token")
    return int(marked[0])


def _skipped(folder: Path, mask: Mapping[str, Any], tokenizer: Any) -> tuple[int, ...]:
    """The tokens of documents that are not scored."""
    if mask.get("keep_only_token_ids"):
        raise _other(folder, "scores a list of tokens alone", "all but a list")
    tasks, words = mask.get("skiplist_tasks") or [], mask.get("skiplist_words") or []
    if words and tasks != ["document"]:
        raise _other(folder, f"has a skip-list for {' and '.join(tasks)}", "one for documents")
    ids = tokenizer.convert_tokens_to_ids(list(words))
    # the library drops words that are not a token, lest they hide every unknown one
    known = {i for i, word in zip(ids, words, strict=True) if _is_token(i, word, tokenizer)}
    return tuple(sorted(known))


def _is_token(number: int | None, word: str, tokenizer: Any) -> bool:
    return number is not None and (number != tokenizer.unk_token_id or word == tokenizer.unk_token)


def _other(folder: Path, what: str, ours: str) -> ModuleError:
    return ModuleError(
        f"the model in '{folder}' {what}; polyrank knows {ours}.\nUse another checkpoint, or run "
        "it with sentence-transformers."
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
