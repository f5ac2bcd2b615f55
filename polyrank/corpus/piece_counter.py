"""How many pieces a base's tokenizer cuts lines into, and how many of them it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from polyrank.base import load_tokenizer, only_cached, resolve_base
from polyrank.base.quiet import quiet_transformers
from polyrank.errors import ModuleError, first_line


class Pieces(NamedTuple):
    """The pieces of a line, without special tokens, and those among them that are unknown."""

    tokens: int
    unknown: int


class PieceCounter:
    """Counts by a base's tokenizer alone; its weights are not read.

    Raises:
        ModuleError: the tokenizer cannot be read, or is not a fast one.
    """

    def __init__(self, base: str) -> None:
        tokenizer = _tokenizer(base)
        self._unknown = tokenizer.unk_token_id
        self._encode: Any = tokenizer.backend_tokenizer
        self._encode.no_truncation()  # some files of tokenizers carry a length and a padding
        self._encode.no_padding()

    def __call__(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces of each text."""
        encoded = self._encode.encode_batch_fast(list(texts), add_special_tokens=False)
        numbers = (one.ids for one in encoded)
        return [Pieces(len(ids), ids.count(self._unknown)) for ids in numbers]


def _tokenizer(base: str) -> Any:
    source = resolve_base(base)
    try:
        with quiet_transformers():
            tokenizer = load_tokenizer(source, only_cached(source))
    except (OSError, ValueError) as error:
        raise ModuleError(
            f"the vocabulary of base '{base}' cannot be read: {first_line(error)}\n"
            "Name another base with --base."
        ) from error
    if not tokenizer.is_fast:
        raise ModuleError(f"the base '{base}' has no fast tokenizer; name another with --base")
    return tokenizer
