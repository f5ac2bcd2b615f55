"""The reranker that options ask for, as a spec, and what it has to say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import typer

from polyrank.errors import UsageError
from polyrank.notes import Notes
from polyrank.progress import note

from . import checks
from .options import WITH_SCORER, Fallback, Kind, Routing

if TYPE_CHECKING:
    from polyrank.collections.records import Collection
    from polyrank.rerankers.base import Reranker
    from polyrank.rerankers.load import RerankerSpec

KEPT = 1 << 28  # bytes of document vectors, where one process reranks several queries


def module_options(
    base: str,
    ranking: str | None,
    kind: Kind,
    ranking_kind: Kind | None,
    routing: Routing | None,
    fallback: Fallback,
) -> dict[str, Any]:
    """What options say of modules, as fields of `RerankerSpec`."""
    return {
        "base": base,
        "ranking": ranking,
        "kind": kind.value,
        "ranking_kind": ranking_kind and ranking_kind.value,
        "routing": routing and routing.value,
        "fallback": fallback.value,
    }


def scorer_options(
    context: typer.Context,
    scorer: str | None,
    prompt: str | None,
    window: int | None,
    step: int | None,
    engine: str | None,
    more: Sequence[str] | None,
) -> dict[str, Any]:
    """What options say of a language model, as the options of `RerankerSpec`.

    Raises:
        UsageError: one of them without --scorer, --scorer without --model, or a pair that is not
            NAME=VALUE.
    """
    given = [f"--{name}" for name in WITH_SCORER if checks.is_given(context, name)]
    if scorer is None:
        if given:
            raise UsageError(
                f"{', '.join(given)} goes with --scorer, which names how a model scores"
            )
        return {}
    if context.params.get("model") is None:
        raise UsageError("--scorer needs --model: a folder, a Hub id, or the name on a server")
    if checks.is_given(context, "max-length"):
        raise UsageError(
            "--max-length is not for language models; use --scorer-option document_tokens=N"
        )
    if engine is not None:
        checks.not_beside(context, "engine", ("device", "precision"))
    named = {"scorer": scorer, "prompt": prompt, "window": window, "step": step}
    return {**named, "engine_url": engine, **dict(_pair(scorer, text) for text in more or ())}


def _pair(scorer: str, text: str) -> tuple[str, Any]:
    """A further option of a scorer or its engine, in its type."""
    from polyrank.rerankers.llm.scorers import ENGINE, SCORERS, SHARED

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--scorer-option is NAME=VALUE, not '{text}'")
    own = ("window", "step")  # of the command line
    known = {**SCORERS[scorer].options, **SHARED, **ENGINE}
    if name not in known or name in own:
        names = ", ".join(sorted(set(known) - set(own)))
        raise UsageError(f"the scorer '{scorer}' has no option '{name}'; it has {names}")
    wanted = known[name].type
    try:
        if wanted is bool:
            return name, {"true": True, "false": False}[value.lower()]
        number = wanted(value)
        if wanted in (int, float) and not (0 <= number < float("inf")):
            raise ValueError(value)
    except (KeyError, ValueError):
        what = {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, "text")
        raise UsageError(f"--scorer-option {name} is {what}, not '{value}'") from None
    return name, number


def settings_of(spec: RerankerSpec, reranker: Reranker) -> dict[str, Any]:
    """What scores depend on, as `rerank --resume` compares it: options and hashes of weights."""
    from polyrank.composition.routing import usual_routing
    from polyrank.composition.saved import SavedComposition
    from polyrank.encoders.precision import as_precision
    from polyrank.rerankers.families import DEFAULT_RANKING

    saved = spec.composition
    return {
        "model": spec.model,
        "base": spec.base,
        "ranking": getattr(reranker, "ranking", DEFAULT_RANKING),
        "kind": spec.kind,
        "ranking-kind": spec.of_ranking,
        "routing": getattr(
            reranker, "routing", spec.routing or usual_routing(spec.kind, spec.ranking_kind)
        ),
        "fallback": spec.fallback,
        "composition": saved.to_json() if isinstance(saved, SavedComposition) else saved,
        "max-length": spec.max_length,
        "device": spec.device,
        "precision": as_precision(spec.precision).name,
        "seed": spec.seed,
        **reranker.identity(),
    }


def check_languages(reranker: Reranker, texts: Collection, limit: int | None) -> None:
    """Refuse, before a search, languages that the reranker cannot take."""
    from polyrank.rerankers.base import check_languages

    check_languages(reranker, islice(texts.queries.values(), limit), texts.documents.values())


def report(noted: Any) -> None:
    """What was assumed or cut, on stderr: of notes, or of what has some."""
    notes = noted if isinstance(noted, Notes) else getattr(noted, "notes", Notes())
    for line in notes.lines():
        note(line)


def tell_cut(notes: Notes, pairs: int) -> None:
    """What to do where most pairs were cut."""
    cut = notes.of_kind("cut").total()
    if 2 * cut > pairs:
        note(
            "most texts were cut, so what stands later in them counts for nothing: read more of "
            "them with --max-length, or split long documents into passages"
        )
