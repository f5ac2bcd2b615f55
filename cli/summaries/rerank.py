"""polyrank summaries rerank."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from ..rerankers import module_options, report, settings_of
from . import options

if TYPE_CHECKING:
    from polyrank.rerankers.load import RerankerSpec
    from polyrank.summaries.candidates import CandidateSet

OF_RERANKERS = ("model", "base", "ranking", "kind", "ranking-kind", "routing", "fallback",
                "max-length", "precision", "question-units", "seed")  # fmt: skip
OF_LIKELIHOOD = ("seq2seq", "length-penalty")
OF_MODELS = ("device",)


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
    resume: options.Resume = False,
) -> None:
    """Put the candidates of each article into another order, best first.

    A likelihood is the sum of the tokens' log-probabilities over the length to the power of
    --length-penalty, as in BRIO. A reranker is asked with the beginning of the article, and ranks
    its candidates; any model or module of 'polyrank rerank' will do, also one that was trained on
    'summaries ranking-rows'. Each article is written when it is done, so a long run that is stopped
    goes on with --resume.

    \b
    Example:
      polyrank summaries candidates --collection ntrex --language en --limit 3 --plans 4 \\
          --plan-units 1 --output candidates.jsonl
      polyrank summaries rerank candidates.jsonl --output reranked.jsonl
    """
    from polyrank.rerankers.load import RerankerSpec
    from polyrank.summaries.candidates import read_candidates
    from polyrank.summaries.row_stream import check_output, stream_rows

    _check(context, by, seq2seq)
    check_output(output, resume)
    own = by.value if by in (By.plan, By.abstractor) else None
    if own is not None:
        ordering = Ordering(lambda sets: (found.reordered(by.value) for found in sets), {}, None)
    elif seq2seq is not None:
        ordering = _by_likelihood(seq2seq, length_penalty, device)
    else:
        modules = module_options(base, ranking, kind, ranking_kind, routing, fallback)
        spec = RerankerSpec(
            model=model, **modules, max_length=max_length, device=device, precision=precision,
            seed=seed,
        )  # fmt: skip
        ordering = _by_reranker(spec, question_units)
    made = stream_rows(
        lambda: read_candidates(file, scored=own),
        lambda sets: ordering.order(track(sets, "reranking")),
        output,
        {"by": by.value, **ordering.settings},
        resume,
    )
    report(ordering.noted)
    note(
        f"the candidates of {made.articles:,} articles are in the order of their {by.value}"
        f"{options.earlier(made)}"
    )


@dataclass(frozen=True)
class Ordering:
    """Puts candidates into an order.

    Attributes:
        order: gives sets in their order anew, one by one.
        settings: what it depends on.
        noted: what has notes.
    """

    order: Callable[[Iterator[CandidateSet]], Iterator[CandidateSet]]
    settings: dict[str, Any]
    noted: Any


def _by_likelihood(model: str, alpha: float, device: str | None) -> Ordering:
    from polyrank.summaries.likelihood import Likelihood
    from polyrank.summaries.reranking import by_likelihood

    likelihood = Likelihood(model, alpha, device)
    settings = {"seq2seq": likelihood.weights, "length-penalty": alpha, "device": device}
    return Ordering(lambda sets: by_likelihood(sets, likelihood), settings, likelihood.notebook)


def _by_reranker(spec: RerankerSpec, asked: int) -> Ordering:
    from polyrank.rerankers.load import load_reranker, with_settled
    from polyrank.summaries.reranking import by_reranker

    reranker = load_reranker(spec)
    settings = {"question-units": asked, **settings_of(with_settled(spec, reranker), reranker)}
    return Ordering(lambda sets: by_reranker(sets, reranker, asked), settings, reranker)


def _check(context: typer.Context, by: By, seq2seq: str | None) -> None:
    """Refuse options that this order makes no use of, and a likelihood without a model."""
    idle = [
        *(OF_RERANKERS if by is not By.reranker else ()),
        *(OF_LIKELIHOOD if by is not By.likelihood else ()),
        *(OF_MODELS if by in (By.plan, By.abstractor) else ()),
    ]
    given = [f"--{name}" for name in idle if checks.is_given(context, name)]
    if given:
        raise UsageError(f"{', '.join(given)} would be ignored with --by {by.value}")
    if by is By.likelihood and seq2seq is None:
        raise UsageError("--by likelihood needs --seq2seq: a model's folder or Hub id")
    if context.params.get("model") is not None:
        checks.not_beside(context, "model", shared.WITH_MODEL)
