"""What a base's card says: which prefix texts get, how vectors are pooled, how much it reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polyrank.errors import ModuleError
from polyrank.typed_fields import check_types

BASE_CARD = "polyrank_base.json"


@dataclass(frozen=True)
class BaseCard:
    """Facts of a base.

    Attributes:
        query_prefix, passage_prefix: put before every text, with the blank that ends them.
        pooling: of the last hidden states: their 'mean' over live tokens, the 'first', the 'last'.
        length: tokens that it reads at most, specials included.
        vectors: whether its pooled vectors were trained for retrieval, so that a dense first stage
            over them, and MaxSim without training, make sense.
        licence: of the weights, as an SPDX id.
        source: where the weights come from.
        fingerprint: (weights, vocabulary), where it was computed when the base was made.
        stored: (size in bytes, modification time in ns) of model.safetensors then; a file that
            differs is fingerprinted again.
    """

    query_prefix: str = ""
    passage_prefix: str = ""
    pooling: str = "mean"
    length: int = 512
    vectors: bool = False
    licence: str = ""
    source: dict[str, str] = field(default_factory=dict)
    fingerprint: tuple[str, str] | None = None
    stored: tuple[int, int] | None = None

    @property
    def reads(self) -> int:
        """Tokens of a text that a dense index reads unless told otherwise: all that the base was
        trained to read where its vectors are for retrieval, else 256."""
        return self.length if self.vectors else 256

    def prefix(self, side: str) -> str:
        """Of a 'query', or of any other side, which is a passage."""
        return self.query_prefix if side == "query" else self.passage_prefix


def read_base_card(folder: str | Path) -> BaseCard:
    """The card in a base's folder; the defaults where there is none.

    Raises:
        ModuleError: a card that cannot be read.
    """
    path = Path(folder) / BASE_CARD
    if not path.is_file():
        return BaseCard()
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("fingerprint", "stored"):
            values[name] = tuple(values[name]) if values.get(name) else None
        card = BaseCard(**values)
        check_types(card)
        return card
    except (OSError, ValueError, TypeError) as error:
        raise ModuleError(
            f"the card of the base in '{folder}' cannot be read: {error}\n"
            f"Remove {BASE_CARD} to use the base without prefixes, or write it again."
        ) from error


def write_base_card(card: BaseCard, folder: str | Path) -> None:
    """Write the card as JSON."""
    text = json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n"
    (Path(folder) / BASE_CARD).write_text(text, encoding="utf-8")


def stored_as(folder: str | Path) -> tuple[int, int] | None:
    """(size, modification time in ns) of the weights in a folder."""
    path = Path(folder) / "model.safetensors"
    if not path.is_file():
        return None
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns
