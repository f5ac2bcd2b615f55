"""polyrank summaries rerank."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.progress import note, track

from .. import checks
from .. import options as shared
from ..choices import Choice
from ..options import Fallback, Kind
from ..rerankers import module_options, report
from . import options

if TYPE_CHECKING:
    from polyrank.rerankers.load import RerankerSpec
    from polyrank.summaries.candidates import CandidateSet

OF_RERANKERS = ("model", "base", "ranking", "kind", "ranking-kind", "routing", "fallback",
                "max-length", "precision", "question-units")  # fmt: skip
OF_LIKELIHOOD = ("seq2seq", "length-penalty")


class By(Choice, names=("plan", "abstractor", "likelihood", "reranker")):
    """What orders candidates."""


def rerank(
    context: typer.Context,
    file: options.CandidatesFile,
    by: Annotated[
        By,
        typer.Option(
            help="The score of the plan, or of what wrote the summary; the likelihood under "
            "--seq2seq; or a reranker."
        ),
    ] = By.reranker,
    output: options.Rows = Path("-"),
    seq2seq: Annotated[
        str | None,
        typer.Option(help="With --by likelihood: a sequence-to-sequence model's folder or Hub id."),
    ] = None,
    length_penalty: options.LengthPenalty = 1.0,
    question_units: options.Asked = 3,
    model: shared.Model = None,
    base: shared.Base = DEFAULT_BASE,
    ranking: shared.RankingOrNone = None,
    kind: shared.KindOption = Kind.adapter,
    ranking_kind: shared.RankingKindOption = None,
    routing: shared.RoutingOption = None,
    fallback: shared.FallbackOption = Fallback.error,
    max_length: shared.MaxLength = 256,
    device: shared.Device = None,
    precision: shared.Precision = None,
    seed: shared.Seed = 0,
) -> None:
    """Put the candidates of each article into another order, best first.

    A likelihood is the sum of the tokens' log-probabilities over the length to the power of
    --length-penalty, as in BRIO. A reranker is asked with the beginning of the article, and ranks
    its candidates; any model or module of 'polyrank rerank' will do, also one that was trained on
    'summaries ranking-rows'.

    \b
    Example:
      polyrank summaries candidates --collection ntrex --language en --limit 3 --plans 4 \\
          --plan-units 1 --output candidates.jsonl
      polyrank summaries rerank candidates.jsonl --output reranked.jsonl
    """
    from polyrank.collections.files import writing
    from polyrank.rerankers.load import RerankerSpec
    from polyrank.summaries.candidates import read_candidates, row_of

    _check(context, by, seq2seq)
    own = by.value if by in (By.plan, By.abstractor) else None
    sets = track(read_candidates(file, scored=own), "reranking")
    noted: Any = None
    if own is not None:
        ordered: Iterator[CandidateSet] = (found.reordered(own) for found in sets)
    elif seq2seq is not None:
        ordered, noted = _by_likelihood(sets, seq2seq, length_penalty, device)
    else:
        modules = module_options(base, ranking, kind, ranking_kind, routing, fallback)
        spec = RerankerSpec(
            model=model, **modules, max_length=max_length, device=device, precision=precision,
            seed=seed,
        )  # fmt: skip
        ordered, noted = _by_reranker(sets, spec, question_units)
    count = 0
    with writing(output) as rows:
        for found in ordered:
            rows.write(row_of(found))
            count += 1
    report(noted)
    note(f"the candidates of {count:,} articles are in the order of their {by.value}")


def _by_likelihood(
    sets: Iterator[CandidateSet], model: str, alpha: float, device: str | None
) -> tuple[Iterator[CandidateSet], Any]:
    """The sets in order, and what has notes."""
    from polyrank.summaries.likelihood import Likelihood
    from polyrank.summaries.reranking import by_likelihood

    likelihood = Likelihood(model, alpha, device)
    return by_likelihood(sets, likelihood), likelihood.notebook


def _by_reranker(
    sets: Iterator[CandidateSet], spec: RerankerSpec, asked: int
) -> tuple[Iterator[CandidateSet], Any]:
    """The sets in order, and what has notes."""
    from polyrank.rerankers.load import load_reranker
    from polyrank.summaries.reranking import by_reranker

    reranker = load_reranker(spec)
    return by_reranker(sets, reranker, asked), reranker


def _check(context: typer.Context, by: By, seq2seq: str | None) -> None:
    """Refuse options that this order makes no use of, and a likelihood without a model."""
    idle = [
        *(OF_RERANKERS if by is not By.reranker else ()),
        *(OF_LIKELIHOOD if by is not By.likelihood else ()),
    ]
    given = [f"--{name}" for name in idle if checks.is_given(context, name)]
    if given:
        raise UsageError(f"{', '.join(given)} would be ignored with --by {by.value}")
    if by is By.likelihood and seq2seq is None:
        raise UsageError("--by likelihood needs --seq2seq: a model's folder or Hub id")
    if context.params.get("model") is not None:
        checks.not_beside(context, "model", shared.WITH_MODEL)
