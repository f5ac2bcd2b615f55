"""How well a base aligns a language with English, layer by layer, with and without its module."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

from polyrank.errors import UsageError
from polyrank.evaluation.layer_vectors import layer_vectors, with_module
from polyrank.evaluation.text_tables import aligned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from polyrank.base import Base

    Vectors = NDArray[np.float32]

Pairs = Mapping[str, Sequence[tuple[str, str]]]  # language → (text, the same in English)
ROUNDING = 1e-6  # relative, of states in fp32: equal texts in one batch may differ by that much


@dataclass(frozen=True)
class Similarity:
    """Texts against their English counterparts, in one layer.

    Attributes:
        cosine: mean over pairs (Language Ranker, arXiv 2404.11553), inflated where all vectors of a
            layer point one way.
        random: mean over all texts and English texts that are not a pair.
        centred, centred_random: the same after each language's own mean vector is taken away.
        retrieval: share of texts whose nearest English text, by centred cosine, is their own.
        mutual: share of pairs that are nearest both ways (MEXA, arXiv 2410.05873).
    """

    cosine: float
    random: float
    centred: float
    centred_random: float
    retrieval: float
    mutual: float


Layers: TypeAlias = "tuple[Similarity, ...]"  # from the embeddings to the last


@dataclass(frozen=True)
class LanguageAlignment:
    """One language.

    Attributes:
        language: its tag.
        pairs: how many texts.
        base: by layer, from the embeddings on, without any language module.
        module: the same, each side under its own language's module; None where there is none.
    """

    language: str
    pairs: int
    base: tuple[Similarity, ...]
    module: tuple[Similarity, ...] | None

    def mean(self, measure: str, module: bool = False) -> float | None:
        """A measure's mean over layers, as Language Ranker takes it; None without a module."""
        layers = self.module if module else self.base
        return None if layers is None else fmean(getattr(s, measure) for s in layers)


@dataclass(frozen=True)
class Alignment:
    """Languages, the one that needs a module most first: lowest retrieval, then lowest centred
    cosine above random pairs, both without a module and averaged over layers."""

    base: str
    kind: str
    languages: tuple[LanguageAlignment, ...]

    def __str__(self) -> str:
        header = ["language", "pairs", "cosine", "random", "centred", "retrieval", "mutual"]
        rows = [[*header, "centred, module", "retrieval, module"]]
        for found in self.languages:
            row = [found.language, str(found.pairs)]
            row += [f"{found.mean(m):.3f}" for m in ("cosine", "random", "centred")]
            row += [f"{found.mean(m):.3f}" for m in ("retrieval", "mutual")]
            for measure in ("centred", "retrieval"):
                value = found.mean(measure, module=True)
                row.append("–" if value is None else f"{value:.3f}")
            rows.append(row)
        notes = (
            f"means over {len(self.languages[0].base)} layers of {self.base}; {self.kind} modules"
        )
        return "\n".join([*aligned(rows), "", notes])

    def json(self, indent: int | None = 2) -> str:
        """Everything, by layer, as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=indent)


def alignment(
    base: Base,
    pairs: Pairs,
    kind: str = "adapter",
    pooling: str = "mean",
    max_length: int = 128,
    zoo: str | Path | None = None,
    progress: bool = True,
) -> Alignment:
    """Measure every language's texts against their English counterparts.

    Args:
        base: as `load_base` gives it.
        pairs: language → (text, the same in English); two pairs or more each.
        kind: of the language modules, 'adapter' or 'mask'. A language without one is measured
            without; so is the English side where English has none.
        pooling: of a layer's tokens: their 'mean', the 'first', or, as in Language Ranker, which
            measures decoders, the 'last'.
        max_length: tokens of a text.
        zoo: a folder to search before the others.

    Raises:
        UsageError: for fewer than two pairs of a language, or an unknown pooling.
        ModuleError: for a module that does not fit.
    """
    if not pairs:
        raise UsageError("give pairs of texts in at least one language")
    english: dict[tuple[tuple[str, ...], bool], list[Vectors]] = {}  # the same for most languages

    def vectors(texts: tuple[str, ...], language: str, module: bool) -> list[Vectors]:
        note = f"aligning {language}" if progress else None
        under = language if module else None
        return layer_vectors(base, texts, under, kind, pooling, max_length, zoo, note)

    def both(
        texts: tuple[str, ...], translated: tuple[str, ...], language: str, module: bool
    ) -> Layers:
        key = translated, module
        if key not in english:
            english[key] = vectors(translated, "en", module)
        return similarities(vectors(texts, language, module), english[key])

    found = []
    for language, rows in pairs.items():
        if len(rows) < 2:
            raise UsageError(f"{language} has {len(rows)} pairs; alignment needs at least two")
        sides = tuple(text for text, _ in rows), tuple(text for _, text in rows)
        there = with_module(base, language, kind, zoo)
        module = both(*sides, language, True) if there else None
        found.append(LanguageAlignment(language, len(rows), both(*sides, language, False), module))
    return Alignment(base.name, kind, tuple(sorted(found, key=_need)))


def _need(found: LanguageAlignment) -> tuple[float, float, str]:
    gap = fmean(layer.centred - layer.centred_random for layer in found.base)
    return found.mean("retrieval") or 0.0, gap, found.language


def similarities(texts: Sequence[Vectors], english: Sequence[Vectors]) -> tuple[Similarity, ...]:
    """By layer; each (pairs, hidden size), row i of one side the counterpart of the other's."""
    return tuple(similarity(a, b) for a, b in zip(texts, english, strict=True))


def similarity(texts: Vectors, english: Vectors) -> Similarity:
    """One layer; (pairs, hidden size) each, two pairs or more.

    Ties in retrieval count against a text: a base that gives every text one vector finds nothing.
    What the rounding of a batch may change is a tie.
    """
    import numpy as np

    raw = _cosines(texts, english)
    centred = _cosines(_centred(texts), _centred(english))
    own = np.diag(centred)
    others = np.where(np.eye(len(own), dtype=bool), -np.inf, centred)
    forth, back = own > others.max(axis=1) + ROUNDING, own > others.max(axis=0) + ROUNDING
    return Similarity(
        *_pairs_and_others(raw),
        *_pairs_and_others(centred),
        float(forth.mean()),
        float((forth & back).mean()),
    )


def _centred(x: Vectors) -> NDArray[np.float64]:
    """Rows less their mean; 0 where only the rounding of equal rows is left."""
    import numpy as np

    x = np.asarray(x, dtype=np.float64)
    rest = x - x.mean(axis=0)
    small = np.linalg.norm(rest, axis=1) < ROUNDING * np.linalg.norm(x, axis=1)
    return np.where(small[:, None], 0.0, rest)


def _cosines(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """(rows of a, rows of b); 0 where a vector is 0."""
    import numpy as np

    def unit(x: ArrayLike) -> NDArray[np.float64]:
        x = np.asarray(x, dtype=np.float64)
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)

    return unit(a) @ unit(b).T


def _pairs_and_others(cosines: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of the diagonal, and of what is off it."""
    import numpy as np

    count = len(cosines)
    trace = float(np.trace(cosines))
    return trace / count, (float(cosines.sum()) - trace) / (count * (count - 1))
