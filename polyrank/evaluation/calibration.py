"""Scores as probabilities: a sigmoid with a temperature and an offset for each pair of languages.

    p(relevant | score) = 1 / (1 + exp(−(score − offset) / temperature))

This is Platt's scaling (Platt 1999, "Probabilistic Outputs for Support Vector Machines"), fitted by
maximum likelihood on the candidates of judged queries, with his smoothed targets, so that data
that a threshold separates still has a finite fit. The same score means different things in
different languages, so each pair that has enough candidates gets a sigmoid of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from polyrank.collections.files import writing
from polyrank.collections.records import Judgement, Run
from polyrank.errors import UsageError
from polyrank.evaluation.pool import Pool
from polyrank.typed_fields import check_types

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT_VERSION = 1
LEAST, LEAST_RELEVANT = 50, 10  # candidates that a pair of languages needs for a sigmoid of its own
BINS = 10


@dataclass(frozen=True)
class Sigmoid:
    """A score's way to a probability; order is kept, as the temperature is above 0."""

    temperature: float = 1.0
    offset: float = 0.0

    def __call__(self, score: float) -> float:
        x = (score - self.offset) / self.temperature
        if x >= 0:
            return 1 / (1 + math.exp(-min(x, 700)))
        power = math.exp(max(x, -700))
        return power / (1 + power)


class Candidate(NamedTuple):
    """A score, whether the document is relevant, the query, and the pair of languages."""

    score: float
    relevant: bool
    query_id: str
    pair: str


@dataclass(frozen=True)
class Bin:
    """Candidates with a probability between two bounds: how many, what was said, what was true."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be trusted, on queries that the fit did not see.

    error: the expected calibration error, Σ count/n · |observed − predicted| (Naeini et al. 2015).
    brier: the mean squared difference to what is true. plain_error, plain_brier: the same of a
        sigmoid of the score as it is.
    """

    count: int
    relevant: int
    error: float
    brier: float
    plain_error: float
    plain_brier: float
    bins: tuple[Bin, ...]

    def lines(self) -> list[str]:
        """A table for people."""
        rows = [
            f"{one.low:.1f} to {one.high:.1f}\t{one.count}\t{one.predicted:.3f}\t{one.observed:.3f}"
            for one in self.bins
        ]
        return [
            "probability\tcandidates\tmean said\tshare relevant",
            *rows,
            f"calibration error {self.error:.4f} (plain sigmoid {self.plain_error:.4f}), "
            f"Brier score {self.brier:.4f} ({self.plain_brier:.4f})",
        ]


@dataclass(frozen=True)
class Calibration:
    """A sigmoid for each pair of languages, and one for all others.

    Attributes:
        whole: of all candidates together, for pairs without one of their own.
        pairs: 'tr→en' → its sigmoid.
        reliability: of the candidates, each predicted by a fit on the other half of the queries.
        per_vector: whether scores are divided by the number of the query's vectors first, as those
            of late interaction, which grow with it.
        source: what it was fitted on, for people.
    """

    whole: Sigmoid
    pairs: Mapping[str, Sigmoid]
    reliability: Reliability
    per_vector: bool = False
    source: str = ""

    def of(self, query_language: str | None, document_language: str | None) -> Sigmoid:
        """The sigmoid for texts of these languages."""
        return self.pairs.get(pair_of(query_language, document_language), self.whole)

    def write(self, path: str | Path) -> None:
        """Write the file, complete or not at all."""
        record = {"format_version": FORMAT_VERSION, **asdict(self)}
        with writing(path) as file:
            file.write(json.dumps(record, ensure_ascii=False, indent=2) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Calibration:
        """Read what `write` wrote.

        Raises:
            UsageError: anything else.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            if record.pop("format_version") != FORMAT_VERSION:
                raise ValueError("another version")
            found = record["reliability"]
            bins = tuple(Bin(**one) for one in found.pop("bins"))
            reliability = Reliability(**found, bins=bins)
            check_types(reliability)
            pairs = {pair: _sigmoid(one) for pair, one in record["pairs"].items()}
            return cls(
                _sigmoid(record["whole"]),
                pairs,
                reliability,
                bool(record["per_vector"]),
                str(record["source"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"'{path}' is not a calibration of this version of polyrank ({error}).\n"
                "Write one with:  polyrank calibrate RUN --collection NAME --output FILE"
            ) from None


def _sigmoid(record: Mapping[str, Any]) -> Sigmoid:
    found = Sigmoid(float(record["temperature"]), float(record["offset"]))
    if not (found.temperature > 0 and math.isfinite(found.temperature + found.offset)):
        raise ValueError("a temperature must be above 0")
    return found


def pair_of(query_language: str | None, document_language: str | None) -> str:
    """The name of a pair of languages.

    >>> pair_of("tr", None)
    'tr→und'
    """
    return f"{query_language or 'und'}→{document_language or 'und'}"


def calibrate(
    run: Run,
    qrels: Iterable[Judgement],
    pool: Pool | None = None,
    *,
    judged_only: bool = False,
    sizes: Mapping[str, int] | None = None,
    source: str = "",
) -> Calibration:
    """Fit sigmoids to a run's raw scores.

    The probability is that of a candidate of a first stage like the run's: deeper lists hold more
    that is not relevant, and give lower probabilities.

    Args:
        run: raw scores of candidates.
        qrels: judgements; only queries that have some are read.
        pool: languages; without it there is one sigmoid for all.
        judged_only: leave candidates out that nobody judged; else they count as not relevant.
        sizes: query → number of its vectors, of a late-interaction model, to divide scores by.
        source: what this is fitted on, for people.

    Raises:
        UsageError: too few candidates, none or all of them relevant, or scores that do not rise
            with relevance.
    """
    found = _candidates(run, qrels, pool, judged_only, sizes)
    relevant = sum(one.relevant for one in found)
    if len(found) < LEAST or min(relevant, len(found) - relevant) < LEAST_RELEVANT:
        raise UsageError(
            f"{len(found)} candidates, {relevant} of them relevant, are too few to calibrate: it "
            f"takes {LEAST}, with {LEAST_RELEVANT} relevant ones and {LEAST_RELEVANT} others.\n"
            "Give a run of more judged queries, and judgements whose ids are those of the run."
        )
    whole, pairs = _fitted(found)
    if whole is None:
        raise UsageError(
            "the scores do not rise with relevance, so they tell no probability of it.\n"
            "Look at the run with:  polyrank evaluate"
        )
    return Calibration(whole, pairs, _reliability(found, whole), sizes is not None, source)


def _candidates(
    run: Run,
    qrels: Iterable[Judgement],
    pool: Pool | None,
    judged_only: bool,
    sizes: Mapping[str, int] | None,
) -> list[Candidate]:
    judged: dict[str, dict[str, int]] = {}
    for one in qrels:
        judged.setdefault(one.query_id, {})[one.document_id] = one.relevance
    asked = pool.query_languages if pool else {}
    held = pool.document_languages if pool else {}
    return [
        Candidate(
            hit.score / max(1, sizes[query_id]) if sizes else hit.score,
            judged[query_id].get(hit.document_id, 0) > 0,
            query_id,
            pair_of(asked.get(query_id), held.get(hit.document_id)),
        )
        for query_id in sorted(run.keys() & judged.keys())
        for hit in run[query_id]
        if not judged_only or hit.document_id in judged[query_id]
    ]


def _fitted(candidates: Sequence[Candidate]) -> tuple[Sigmoid | None, dict[str, Sigmoid]]:
    """The sigmoid of all, and those of the pairs that have enough."""
    by_pair: dict[str, list[Candidate]] = {}
    for one in candidates:
        by_pair.setdefault(one.pair, []).append(one)
    pairs = {}
    for pair, own in sorted(by_pair.items()):
        relevant = sum(one.relevant for one in own)
        enough = len(own) >= LEAST and min(relevant, len(own) - relevant) >= LEAST_RELEVANT
        if enough and (sigmoid := fit(own)) is not None:
            pairs[pair] = sigmoid
    return fit(candidates), pairs


def fit(candidates: Sequence[Candidate]) -> Sigmoid | None:
    """Platt's scaling by maximum likelihood; None where scores do not rise with relevance."""
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    scores = np.array([one.score for one in candidates])
    relevant = np.array([one.relevant for one in candidates])
    centre, spread = scores.mean(), scores.std()
    if not spread > 0:
        return None
    x = (scores - centre) / spread
    positive = relevant.sum()
    high, low = (positive + 1) / (positive + 2), 1 / (len(x) - positive + 2)  # Platt's targets
    targets = np.where(relevant, high, low)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = weights[0] * x + weights[1]
        gap = expit(z) - targets
        return float((np.logaddexp(0, z) - targets * z).sum()), np.array([gap @ x, gap.sum()])

    slope, bias = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
    if slope <= 1e-6:
        return None
    return Sigmoid(float(spread / slope), float(centre - bias * spread / slope))


def _reliability(candidates: Sequence[Candidate], whole: Sigmoid) -> Reliability:
    """Every candidate predicted by what was fitted on the other half of the queries."""
    half = {one: place % 2 for place, one in enumerate(sorted({c.query_id for c in candidates}))}
    said: list[float] = []
    true: list[bool] = []
    plain: list[float] = []
    for fold in (0, 1):
        own = [one for one in candidates if half[one.query_id] == fold]
        all_of, pairs = _fitted([one for one in candidates if half[one.query_id] != fold])
        said += [pairs.get(one.pair, all_of or whole)(one.score) for one in own]
        plain += [Sigmoid()(one.score) for one in own]
        true += [one.relevant for one in own]
    bins = _bins(said, true)
    return Reliability(
        len(said),
        sum(true),
        _error(bins),
        _brier(said, true),
        _error(_bins(plain, true)),
        _brier(plain, true),
        tuple(bins),
    )


def _bins(said: Sequence[float], true: Sequence[bool]) -> list[Bin]:
    """Bins of equal width; those without candidates are left out."""
    held: dict[int, list[tuple[float, bool]]] = {}
    for one, fact in zip(said, true, strict=True):
        held.setdefault(min(int(one * BINS), BINS - 1), []).append((one, fact))
    return [
        Bin(
            place / BINS,
            (place + 1) / BINS,
            len(own),
            sum(p for p, _ in own) / len(own),
            sum(fact for _, fact in own) / len(own),
        )
        for place, own in sorted(held.items())
    ]


def _error(bins: Sequence[Bin]) -> float:
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.observed - one.predicted) for one in bins) / total


def _brier(said: Sequence[float], true: Sequence[bool]) -> float:
    return sum((p - fact) ** 2 for p, fact in zip(said, true, strict=True)) / len(said)
