"""What makes an encoder a late-interaction model: a projection of every token, and its rules.

Beside the weights of a ranking module lie `projection.safetensors` (`weight` (dim, H), perhaps
`bias` (dim,), perhaps `markers` (2, H)) and `late_interaction.json`, a `TokenRules`. A module with
these files scores by MaxSim (Khattab & Zaharia 2020, arXiv 2004.12832), not by a head.

Markers. ColBERT tells queries from documents by a marker after [CLS]. Vocabularies of XLM-R's kind
have no spare entries for that, and polyrank's base is frozen and bound to its modules by its
fingerprint, so no entry is added or taken over: the two ids lie just beyond the vocabulary, their
embedding rows are trained and kept here, and no text can ever contain them. A checkpoint that has
markers of its own keeps its ids.

Prefixes. A base such as E5 was trained with words before every text (`query: `), which tell the
sides apart as markers do, so modules for it have these instead. Tokens of a prefix are attended to
and never scored. Over such a base MaxSim needs no training: `untrained`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polyrank.errors import ModuleError
from polyrank.modules.card import train_command

if TYPE_CHECKING:
    from polyrank.base import Base

RULES_FILE, PROJECTION_FILE = "late_interaction.json", "projection.safetensors"
SKIPLISTS = ("unicode", "listed", "none")
FORMAT = 1
DEFAULT_RANKING = "squad-li"


@dataclass(frozen=True)
class TokenRules:
    """How texts become token vectors.

    Attributes:
        query_marker, document_marker: the id after the first token; one at or beyond the size of
            the vocabulary points into `Projection.markers`. None for no marker.
        dim: width of a token vector.
        query_length, document_length: tokens of a text that are read, specials included.
        augment_to: shorter queries are filled up to this length with the mask token, whose vectors
            are scored too; 0 for never.
        attend: whether the other tokens attend to the mask tokens of a filled query.
        skiplist: which tokens of a document are not scored: 'unicode' those without any letter,
            digit, mark or pictograph, in every script; 'listed' those in `skip_ids`; 'none' none.
        skip_ids: for 'listed'.
        similarity: 'cosine': token vectors have length 1.
        query_prefix, document_prefix: put before a text, with the blank that ends them; their
            tokens are attended to and never scored.
        specials: whether the special tokens around a text, such as [CLS] and [SEP], are scored. Of
            a text without any other token to score, all tokens are.
    """

    query_marker: int | None
    document_marker: int | None
    dim: int = 128
    query_length: int = 64
    document_length: int = 256
    augment_to: int = 32
    attend: bool = False
    skiplist: str = "unicode"
    skip_ids: tuple[int, ...] = ()
    similarity: str = "cosine"
    query_prefix: str = ""
    document_prefix: str = ""
    specials: bool = True

    def __post_init__(self) -> None:
        if self.skiplist not in SKIPLISTS:
            raise ModuleError(f"unknown skip-list '{self.skiplist}'; use {', '.join(SKIPLISTS)}")
        if self.similarity != "cosine":
            raise ModuleError(
                f"similarity '{self.similarity}' is not supported; polyrank scores by cosine"
            )
        if self.augment_to > self.query_length:
            raise ModuleError(
                f"queries are cut to {self.query_length} tokens, so they cannot be filled up to "
                f"{self.augment_to}; use at most {self.query_length}"
            )

    def record(self) -> dict[str, Any]:
        """The rules as JSON has them; the latest fields only where they differ from their defaults,
        so that modules and indexes of before stay equal to those of now."""
        values = asdict(self)
        usual = {field.name: field.default for field in fields(self)}
        same = {name for name in _LATEST if values[name] == usual[name]}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if name not in same
        }


_LATEST = ("query_prefix", "document_prefix", "specials")


@dataclass(frozen=True, eq=False)
class Projection:
    """The rules and the weights of a late-interaction module, beyond its encoder.

    Attributes:
        weight: (dim, H), or None for the identity. bias: (dim,), or None. markers: (2, H), the
            embeddings of the query's and the document's marker, or None where the vocabulary has
            them or there are none. All fp32.
    """

    rules: TokenRules
    weight: Tensor | None
    bias: Tensor | None = None
    markers: Tensor | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and self.weight.shape[0] != self.rules.dim:
            raise ModuleError(
                f"the projection has {self.weight.shape[0]} rows, but its rules say "
                f"{self.rules.dim}.\nFetch or train the module again."
            )

    def __call__(self, hidden: Tensor) -> Tensor:
        """Unit vectors in fp32: (…, H) → (…, dim)."""
        return project(hidden, self.weight, self.bias)

    def to(self, device: torch.device) -> Projection:
        moved = (None if t is None else t.to(device) for t in self._tensors())
        return Projection(self.rules, *moved)

    def _tensors(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        return self.weight, self.bias, self.markers


def project(hidden: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """Unit vectors in fp32: (…, H) → (…, dim); without a weight (…, H)."""
    hidden = hidden.float()
    if weight is not None:
        hidden = nn.functional.linear(hidden, weight, bias)
    return nn.functional.normalize(hidden, dim=-1)


def untrained(base: Base) -> Projection:
    """MaxSim over a base's own last hidden states, as they are: all dimensions, no markers.

    The base's prefixes stand before the texts. What is scored are the tokens of the text itself.

    Raises:
        ModuleError: a base that does not say that its vectors are for retrieval.
    """
    card = base.card
    if not card.vectors:
        raise ModuleError(
            f"the vectors of the base '{base.name}' were not trained for retrieval (its card does "
            "not say so), so late interaction over it needs a ranking module.\nTrain one with:  "
            f"{train_command(base.name, 'ranking', 'adapter', DEFAULT_RANKING, late=True)}"
        )
    rules = TokenRules(
        query_marker=None,
        document_marker=None,
        dim=base.model.config.hidden_size,
        query_length=card.length,
        document_length=card.length,
        augment_to=0,
        query_prefix=card.query_prefix,
        document_prefix=card.passage_prefix,
        specials=False,
    )
    return Projection(rules, None)


def embed(ids: Tensor, table: nn.Embedding, markers: Tensor | None) -> Tensor:
    """Word embeddings, where ids beyond the vocabulary are markers: (B, L) → (B, L, H)."""
    if markers is None:
        return table(ids)
    beyond = ids >= table.num_embeddings
    words = table(ids.masked_fill(beyond, 0))
    own = markers[(ids - table.num_embeddings).clamp(min=0)].to(words.dtype)
    return torch.where(beyond[..., None], own, words)


def is_late_interaction(folder: str | Path) -> bool:
    """Whether a module's folder holds a projection for MaxSim."""
    return (Path(folder) / RULES_FILE).is_file()


def refuse_late_interaction(folder: str | Path) -> None:
    """Raise ModuleError for a late-interaction module, which no cross-encoder can use."""
    if is_late_interaction(folder):
        raise ModuleError(
            f"the ranking module in '{folder}' is for late interaction: it has no head that scores "
            "pairs.\nUse it with pr.LateInteraction, or give a cross-encoder's module."
        )


def save_projection(projection: Projection, folder: Path) -> None:
    """Write the two files into a module's folder, before its card.

    Raises:
        ModuleError: the identity, which is not a module's.
    """
    from safetensors.torch import save_file

    if projection.weight is None:
        raise ModuleError("late interaction without training has no projection to store")
    names = ("weight", "bias", "markers")
    tensors = {
        name: tensor.detach().cpu().float().contiguous()
        for name, tensor in zip(names, projection._tensors(), strict=True)
        if tensor is not None
    }
    save_file(tensors, folder / PROJECTION_FILE, metadata={"format": "pt"})
    record = {"format_version": FORMAT, **projection.rules.record()}
    (folder / RULES_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_projection(folder: str | Path) -> Projection:
    """Read a late-interaction module's projection.

    Raises:
        ModuleError: a cross-encoder's folder, or files that are missing or broken.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    if not is_late_interaction(folder):
        raise ModuleError(
            f"the ranking module in '{folder}' is a cross-encoder: it has no {RULES_FILE}.\n"
            "Use it with pr.Reranker, or train one with:  polyrank train late-interaction"
        )
    try:
        record = json.loads((folder / RULES_FILE).read_text(encoding="utf-8"))
        tensors = load_file(folder / PROJECTION_FILE)
        rules = rules_of(record, RULES_FILE)
        parts = (tensors[k].float() if k in tensors else None for k in ("bias", "markers"))
        return Projection(rules, tensors["weight"].float(), *parts)
    except ModuleError:
        raise
    except Exception as error:  # each reader has its own kinds; all mean: not these files
        raise ModuleError(
            f"the late-interaction files in '{folder}' cannot be read: {error!r}\n"
            "Fetch or train the module again."
        ) from error


def rules_of(record: dict[str, Any], file: str) -> TokenRules:
    """Rules as `TokenRules.record` wrote them, with a format version where they are all of a file.

    Raises:
        ModuleError: another version, or fields that this polyrank does not know.
    """
    version = record.pop("format_version", FORMAT)
    unknown = set(record) - {field.name for field in fields(TokenRules)}
    if version != FORMAT or unknown:
        raise ModuleError(
            f"{file} has format version {version!r} and unknown fields "
            f"{sorted(unknown)}; this polyrank reads version {FORMAT}.\nUpgrade polyrank."
        )
    return TokenRules(**{**record, "skip_ids": tuple(record.get("skip_ids", ()))})
