"""polyrank summaries candidates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.progress import note, track

from .. import checks
from ..choices import Choice
from ..options import Device, Seed
from ..rerankers import report
from . import options
from .options import Units

if TYPE_CHECKING:
    from polyrank.summaries.abstractor import Abstractor
    from polyrank.summaries.search import Planner

WITH_ABSTRACTOR = ("per-plan", "beams", "length-penalty", "tokens")


class Search(Choice, names=("beam", "sample")):
    """How plans are found."""


def candidates(
    context: typer.Context,
    documents: options.ArticlesFile = None,
    collection: options.CollectionName = None,
    language: options.Language = None,
    output: options.Rows = Path("-"),
    plan_model: Annotated[
        Path | None,
        typer.Option(help="A folder of 'train-plan'; else plans of the most central units."),
    ] = None,
    abstractor: Annotated[
        str | None,
        typer.Option(
            help="A sequence-to-sequence model's folder or Hub id that writes the summaries; else "
            "a summary is the units of its plan."
        ),
    ] = None,
    plans: Annotated[int, typer.Option(min=1, help="Different plans of an article.")] = 16,
    plan_units: Annotated[
        int | None,
        typer.Option(min=1, help="Units of a plan: 3; at most so many with --plan-model."),
    ] = None,
    units: options.UnitsOption = Units.clause,
    search: Annotated[Search, typer.Option(help="The likeliest plans, or drawn ones.")] = (
        Search.beam
    ),
    temperature: Annotated[
        float, typer.Option(min=0.01, help="With --search sample: higher is more varied.")
    ] = 1.0,
    per_plan: Annotated[
        int, typer.Option(min=1, help="With --abstractor: summaries of a plan.")
    ] = 1,
    beams: Annotated[int, typer.Option(min=1, help="With --abstractor: width of its search.")] = 4,
    tokens: Annotated[
        int, typer.Option(min=1, help="With --abstractor: of a summary at most.")
    ] = 128,
    length_penalty: options.LengthPenalty = 1.0,
    base: Annotated[
        str | None,
        typer.Option(help=f"The base: '{DEFAULT_BASE}', or that of --plan-model, unless given."),
    ] = None,
    limit: options.Limit = None,
    seed: Seed = 0,
    device: Device = None,
    resume: options.Resume = False,
) -> None:
    """Make candidate summaries: an article is split into units, plans choose among them.

    Each plan gives a candidate: its units in the order of the article, or with --abstractor what a
    model writes of the article with the plan's units between <e> and </e>. Without --plan-model
    plans are the most central units, which needs no training (LexRank over the base's vectors).
    Each article is written when it is done, so a long run that is stopped goes on with --resume.

    \b
    Example:
      polyrank summaries candidates --collection ntrex --language en --limit 5 --plans 4 \\
          --plan-units 1 --output candidates.jsonl
    """
    from polyrank.installed import require
    from polyrank.notes import Notebook
    from polyrank.summaries.making import Making
    from polyrank.summaries.row_stream import check_output, stream_rows

    require("summaries", "splitting texts into units")
    if abstractor is None:
        _refuse(context, WITH_ABSTRACTOR, "--abstractor")
    if search is Search.beam:
        _refuse(context, ("temperature", "seed"), "--search sample")
    check_output(output, resume)
    asked = options.articles(documents, collection, language, limit)
    planner, fineness, weights = _planner(context, plan_model, base, plan_units, units, device)
    writer = _writer(abstractor, per_plan, beams, length_penalty, tokens, device)
    making = Making(planner, writer, fineness, plans, search is Search.sample, temperature, seed)
    notebook = Notebook()
    settings = {
        "plan weights": weights,
        "units": fineness,
        "plan-units": planner.longest,
        "plans": plans,
        "search": search.value,
        "temperature": temperature,
        "seed": seed,
        "abstractor": writer and writer.weights,
        "per-plan": per_plan,
        "beams": beams,
        "tokens": tokens,
        "length-penalty": length_penalty,
        "device": device,
    }
    made = stream_rows(
        asked, lambda them: making(track(them, "summarising"), notebook), output, settings, resume
    )
    for noted in (notebook, planner.notebook, *([writer.notebook] if writer else [])):
        report(noted)
    note(f"{made.candidates:,} candidates of {made.articles:,} articles{options.earlier(made)}")


def _refuse(context: typer.Context, names: tuple[str, ...], needed: str) -> None:
    given = [f"--{name}" for name in names if checks.is_given(context, name)]
    if given:
        raise UsageError(f"{', '.join(given)} goes with {needed}")


def _planner(
    context: typer.Context,
    folder: Path | None,
    base: str | None,
    longest: int | None,
    units: Units,
    device: str | None,
) -> tuple[Planner, str, str]:
    """What proposes plans, of which units, and a hash of its weights."""
    if folder is not None:
        from polyrank.summaries.plan_folder import read_plan_card
        from polyrank.summaries.planner import TrainedPlanner

        planner, fineness = TrainedPlanner.load(folder, base, longest, device)
        if checks.is_given(context, "units") and units.value != fineness:
            raise UsageError(
                f"--units {units.value}, but the model in {folder} was trained on units of the "
                f"kind '{fineness}'; leave --units out"
            )
        card = read_plan_card(folder)
        return planner, fineness, f"{card.sha256[:12]} over {card.base_fingerprint}"
    from polyrank.base import load_base
    from polyrank.summaries.central import Central

    loaded = load_base(base or DEFAULT_BASE)
    return Central(loaded, longest or 3, device), units.value, str(loaded.fingerprint)


def _writer(
    name: str | None, per_plan: int, beams: int, alpha: float, tokens: int, device: str | None
) -> Abstractor | None:
    if name is None:
        return None
    from polyrank.summaries.abstractor import Abstractor

    return Abstractor(name, per_plan, beams, alpha, tokens, device)
