"""Served names, and the rerankers and indexes behind them: made once at start, never by a request.

Rerankers over one base share it in memory; modules stay loaded once a language was asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.base import DEFAULT_BASE
from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.evaluation.calibration import Calibration, Sigmoid
from polyrank.languages import tags
from polyrank.modules.kinds import language_kinds
from polyrank.notes import Notes
from polyrank.rerankers.base import Request
from polyrank.rerankers.load import RerankerSpec, load_reranker, spec_of
from polyrank.server.work import Scored
from polyrank.zoo.find import list_modules

if TYPE_CHECKING:
    from polyrank.base import Base
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.rerankers.base import Ranking, Reranker

Pair = tuple[Query, Document]
Relevance = Callable[[float, str | None], float]  # raw score, language of the document → 0 to 1
Offsets = list[tuple[int, int]]  # of each token its first character, and the one after its last

SPECIALS = {True: 4, False: 2}  # tokens around a pair and around a text, where nobody says
LETTERS, WORD = 8, 100  # more characters than a token has on average, tokens than a word has
NAME = 100  # characters of a served name


def named_specs(given: Sequence[str]) -> dict[str, str | Mapping[str, Any]]:
    """What `--model NAME=SPEC` options say: name → a name, folder, Hub id, file or mapping.

    A specification without a name is served under its own, of a path its last part. One that
    begins with a brace is JSON with the fields of `RerankerSpec`.

    Raises:
        UsageError: two models of one name, or JSON that is none.

    >>> named_specs(["e5-small", "own=models/en-sw"])
    {'e5-small': 'e5-small', 'own': 'models/en-sw'}
    """
    found: dict[str, str | Mapping[str, Any]] = {}
    for text in given:
        name, equals, spec = ("", "", text) if text.startswith("{") else text.partition("=")
        if not equals:
            name, spec = "", text
        read: str | Mapping[str, Any] = spec
        if spec.startswith("{"):
            try:
                read = json.loads(spec)
            except ValueError as error:
                raise UsageError(f"--model {name or spec[:20]}: not JSON: {error}") from None
            name = name or "default"
        name = (name or Path(spec).name or spec).strip()
        if not name or not spec.strip() or len(name) > NAME:
            raise UsageError(f"--model '{text}': give SPEC or NAME=SPEC, the name not over {NAME}")
        if name in found:
            raise UsageError(f"two models are called '{name}'; give --model OTHER={spec}")
        found[name] = read
    return found


def named_folders(given: Sequence[str]) -> dict[str, Path]:
    """What `--index NAME=FOLDER` options say; without a name it is the folder's.

    Raises:
        UsageError: two indexes of one name.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals else text).expanduser()
        name = name if equals else path.resolve().name
        if name in found:
            raise UsageError(f"two indexes are called '{name}'; give --index OTHER={path}")
        found[name] = path
    return found


class Shelf:
    """Loads rerankers and indexes; bases that several of them use are loaded once."""

    def __init__(self) -> None:
        self._bases: dict[str, Base] = {}

    def base(self, name: str) -> Base:
        """A base, loaded at its first use."""
        from polyrank.base import load_base

        if name not in self._bases:
            self._bases[name] = load_base(name)
        return self._bases[name]

    def reranker(self, given: str | Mapping[str, Any] | RerankerSpec, **options: Any) -> Reranker:
        """`load_reranker`, over a base that may be loaded already."""
        spec = spec_of(given, **options)
        if spec.model is not None:
            return load_reranker(spec)
        if spec.composition is not None:
            from polyrank.composition.saved import SavedComposition, read_composition

            saved = spec.composition
            if not isinstance(saved, SavedComposition):
                saved = read_composition(saved)
            name = spec.base or saved.base
            spec = replace(spec, composition=saved)
        else:
            name = spec.base or DEFAULT_BASE
        return load_reranker(replace(spec, base=self.base(name) if isinstance(name, str) else name))

    def index(self, folder: Path, device: str | None = None) -> MultiVectorIndex:
        """An index with its model, over a base that may be loaded already."""
        from polyrank.index.multivector import MultiVectorIndex

        opened = MultiVectorIndex(folder, None, device)
        name = opened.snapshot.manifest.binding.base
        options: dict[str, Any] = {"base": self.base(name)}
        if device:
            options["device"] = device
        opened = MultiVectorIndex(folder, None, device, options)
        assert opened.encoder is not None  # loaded and checked now, not by the first request
        return opened


@dataclass(frozen=True)
class Piece:
    """A part of a text that is scored on its own: its characters, and how many tokens it has."""

    start: int
    end: int
    tokens: int


class Served:
    """A reranker under the name that requests know it by.

    Args:
        name: of the model, in requests and answers.
        reranker: what ranks.
        calibration: what its scores mean as probabilities; None where nobody measured that.

    Attributes:
        divisible: whether candidates may be scored apart from each other.
        longest: tokens of a pair, or in late interaction of a document, that are read; None where
            that is not known.
    """

    def __init__(
        self, name: str, reranker: Reranker, calibration: Calibration | None = None
    ) -> None:
        self.name, self.reranker, self.calibration = name, reranker, calibration
        self.divisible = bool(getattr(reranker, "pointwise", False))
        scorer = reranker if hasattr(reranker, "score") else getattr(reranker, "scorer", None)
        self._scorer = scorer if self.divisible else None
        self.source: Any = reranker if self._scorer is None else self._scorer
        base = getattr(self.source, "base", None)
        self._tokenizer = getattr(base, "tokenizer", None)
        self._tokenizer = self._tokenizer or getattr(self.source, "tokenizer", None)
        rules = getattr(self.source, "rules", None)
        self._rules = rules if hasattr(rules, "document_length") else None
        longest = getattr(self.source, "max_length", None)
        self.longest: int | None = self._rules.document_length if self._rules else longest
        saved = getattr(self.source, "saved", None)
        self._plan = getattr(saved, "composition", None)

    @property
    def kind(self) -> str:
        """The class of the reranker, for people."""
        return type(self.source).__name__

    def usual_languages(self) -> tuple[str | None, str | None]:
        """The languages that texts without one have to this model, so that none is identified."""
        if self._plan is None:
            return None, None
        return self._plan.query_language, self._plan.document_language

    # --------------------------------------------------------------------------------- scoring

    def score(self, pairs: Sequence[Pair]) -> Scored:
        """Raw scores of pairs; for divisible models alone.

        Notes are those of a model without `score`, at the first pair of a request's query; what
        others assume `assumed` tells, and what they cut is counted before.
        """
        if self._scorer is not None:
            return Scored(list(self._scorer.score(pairs)))
        lists: dict[int, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            lists.setdefault(id(query), []).append(place)  # equal ones may be of two requests
        scores, notes = [math.nan] * len(pairs), {}
        for places in lists.values():
            own = [replace(pairs[place][1], id=str(number)) for number, place in enumerate(places)]
            ranking = self.rank(Request(pairs[places[0]][0], tuple(own)))
            notes[places[0]] = ranking.notes - ranking.notes.of_kind("empty")  # told of the list
            for hit in ranking.hits:
                scores[places[int(hit.document_id)]] = hit.score
        return Scored(scores, notes)

    def lacks(self, language: str | None) -> bool:
        """Whether a language that somebody names would stop this model, for want of a module."""
        told = getattr(self.source, "lacks_module", None)
        return language is not None and told is not None and bool(told(language))

    def assumed(self, pairs: Sequence[Pair]) -> Notes:
        """What scoring these pairs assumes of their languages; nothing is scored."""
        told = getattr(self._scorer, "assumed", None)
        return Notes() if told is None else told(pairs)

    def rank(self, request: Request) -> Ranking:
        """The ranking of one list."""
        (ranking,) = self.reranker.rank_all([request])
        return ranking

    def relevance(self, query: Query) -> Relevance:
        """What brings raw scores for a query into 0 to 1; it is given the document's language, too.

        With a calibration that is the probability of relevance, so that scores can be compared
        across languages, whose order it may change. Without one the order stays: the sigmoid of a
        logit; for MaxSim, whose size is that of the query, the mean similarity of the query's
        tokens.
        """
        known = self.calibration
        sizes = getattr(self.source, "query_sizes", None)
        size = 1 if sizes is None else max(1, *sizes([query]))
        if known is not None:
            own = size if known.per_vector else 1
            return lambda score, language: known.of(query.language, language)(score / own)
        if sizes is None:
            return lambda score, _: Sigmoid()(score)
        return lambda score, _: min(1.0, max(0.0, score / size))

    # --------------------------------------------------------------------------------- lengths

    def offsets(self, text: str) -> Offsets:
        """The characters of each token of a text, specials left out; of words, for models without
        a tokenizer."""
        if self._tokenizer is None:
            return _words(text)
        encoding = self._tokenizer(text, add_special_tokens=False, verbose=False)
        return list(encoding.encodings[0].offsets)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, specials left out."""
        if self._tokenizer is None:
            return [len(text.split()) for text in texts]
        if not texts:
            return []
        encoding = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)
        return [len(row.ids) for row in encoding.encodings]

    def counts_to(self, texts: Sequence[str], most: int | None) -> list[int]:
        """How many tokens each text has; of one with more than `most`, a number above that.

        Of a long text only the beginning is tokenised, unless that is largely blank.
        """
        if most is None:
            return self.counts(texts)
        read = LETTERS * (most + WORD)
        counts = self.counts([text[:read] for text in texts])
        return [
            self.counts([text])[0] if len(text) > read and count <= most + WORD else count
            for text, count in zip(texts, counts, strict=True)
        ]

    def query_tokens(self, query: Query) -> int:
        """How many tokens a query has; of one that is too long, more than are read."""
        reads = self._rules.query_length if self._rules else self.longest
        return self.counts_to([query.text], reads)[0]

    def beginning(self, text: str, tokens: int) -> tuple[Offsets, bool]:
        """The characters of a text's first tokens, at most so many, and whether it has more."""
        read = LETTERS * (tokens + WORD)
        offsets = self.offsets(text[:read])
        if len(text) > read and len(offsets) <= tokens + WORD:
            offsets = self.offsets(text)
        return offsets[:tokens], len(offsets) > tokens

    def room(self, query_tokens: int) -> int | None:
        """Tokens of a document that are read beside a query; None for no limit that is known."""
        if self.longest is None:
            return None
        if self._rules is not None:
            marker, prefix = self._rules.document_marker, self._rules.document_prefix
            return self._room_of_text(self.longest, marker, prefix)
        # The longer side is cut first: a query never takes more than half from a long document.
        room = self._room_of_pair()
        return max(1, room - min(query_tokens, room // 2))

    def query_read(self, query_tokens: int, document_tokens: int) -> int:
        """Tokens of a query that are read beside a document, of which so many are read."""
        if self.longest is None:
            return query_tokens
        if self._rules is not None:
            marker, prefix = self._rules.query_marker, self._rules.query_prefix
            room = self._room_of_text(self._rules.query_length, marker, prefix)
        else:
            room = max(1, self._room_of_pair() - document_tokens)
        return min(query_tokens, room)

    def _room_of_text(self, length: int, marker: int | None, prefix: str) -> int:
        (before,) = self.counts([prefix])
        return max(1, length - self._specials(False) - (marker is not None) - before)

    def _room_of_pair(self) -> int:
        assert self.longest is not None
        before = sum(self.counts(list(getattr(self.source, "prefixes", ("", "")))))
        return max(2, self.longest - self._specials(True) - before)

    def _specials(self, pair: bool) -> int:
        told = getattr(self._tokenizer, "num_special_tokens_to_add", None)
        return SPECIALS[pair] if told is None else int(told(pair))

    def pieces(self, text: str, room: int, most: int) -> tuple[list[Piece], bool]:
        """A text in overlapping pieces of at most `room` tokens, and whether some is left out.

        Args:
            most: pieces.
        """
        step = max(1, room - room // 4)
        offsets, left_out = self.beginning(text, room + (most - 1) * step)
        if len(offsets) <= room and not left_out:
            return [Piece(0, len(text), len(offsets))], False
        starts = range(0, max(1, len(offsets) - room + step), step)
        parts = [offsets[start : start + room] for start in starts]
        return [Piece(part[0][0], part[-1][1], len(part)) for part in parts], left_out

    # ----------------------------------------------------------------------------- description

    @cached_property
    def languages(self) -> list[str]:
        """The languages that it has modules for; none where it has no modules."""
        base = getattr(getattr(self.source, "base", None), "name", None)
        kind = getattr(self.source, "language_kind", None) or getattr(self.source, "kind", None)
        if not base or kind not in language_kinds() or self._plan is not None:
            return []
        zoo = getattr(self.source, "zoo", None)
        found = list_modules(base=base, role="language", kind=kind, zoo=zoo)
        return sorted({one.card.language for one in found})

    def describe(self) -> dict[str, Any]:
        """What clients may know of it; no paths."""
        found: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "listwise": not self.divisible,
        }
        for name in ("routing", "fallback"):
            value = getattr(self.source, name, None)
            if isinstance(value, str):
                found[name] = value
        found["max_input_length"] = self.longest
        found["languages"] = self.languages
        if self.calibration is not None:
            found["calibrated"] = sorted(self.calibration.pairs)
        base = getattr(self.source, "base", None)
        if base is not None and hasattr(base, "name"):
            found["base"] = base.name
        return found


def calibration_beside(spec: str | Mapping[str, Any]) -> Path | None:
    """The calibration that lies beside a composition's file, or in a module's or model's folder."""
    if not isinstance(spec, str):
        return None
    path = Path(spec).expanduser()
    found = path / "calibration.json" if path.is_dir() else path.with_suffix(".calibration.json")
    return found if found.is_file() else None


def _words(text: str) -> Offsets:
    found, place = [], 0
    for word in text.split():
        start = text.index(word, place)
        place = start + len(word)
        found.append((start, place))
    return found


def as_tag(language: str | None) -> str | None:
    """A language tag of a request; None where it says none.

    Raises:
        LanguageError: no language.
    """
    if language is None or not language.strip() or language.strip() in ("auto", tags.UNKNOWN):
        return None
    return tags.normalise(language)
