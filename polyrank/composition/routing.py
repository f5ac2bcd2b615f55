"""Routings: which tokens see which language module. What a kind of module allows says its row.

The routings are those of ModularCLIR (Litschko et al. 2022, arXiv 2204.02292). Needs no torch.
"""

from __future__ import annotations

from polyrank.errors import CompositionError, UsageError
from polyrank.modules.kinds import kind_named, language_kinds, listed

ROUTINGS = ("none", "query", "document", "split", "both")

# Of late interaction, whatever the kind of the modules.
LATE_REFUSED = (
    "late interaction encodes texts one by one, so routing '{routing}' means nothing there.\n"
    "Use 'split' (each text its own language), 'document' or 'query' (both sides that one's "
    "language), or 'none'."
)
INDEX_REFUSED = (
    "documents cannot be indexed with routing 'query': they would pass through the module of the "
    "query's language, and an index is made before anyone asks.\n"
    "Use 'split' (each text its own language), 'document' (queries are encoded for the documents' "
    "language), or 'none'."
)


def usual_routing(kind: str, ranking_kind: str | None = None) -> str:
    """The default routing of a cross-encoder.

    Args:
        kind: of the language modules.
        ranking_kind: of the ranking module; by default as `kind`. Over a whole model, which takes
            no language modules, its own default counts.

    Raises:
        UsageError: an unknown kind.
    """
    rows = kind_named(ranking_kind or kind), kind_named(kind)
    return next((row for row in rows if row.acts == "model"), rows[1]).routing


def check_routing(kind: str, routing: str, ranking_kind: str | None = None) -> None:
    """Raise unless a cross-encoder can route language modules of a kind so.

    Args:
        kind: of the language modules.
        ranking_kind: of the ranking module; by default as `kind`.

    Raises:
        CompositionError: a routing that the kind refuses, such as masks in `split`, or a kind that
            no language module has.
        UsageError: an unknown routing or kind.
    """
    ranking_kind = ranking_kind or kind
    if routing not in ROUTINGS:
        raise UsageError(f"unknown routing '{routing}'.\nUse one of {', '.join(ROUTINGS)}.")
    language, ranking = kind_named(kind), kind_named(ranking_kind)
    if "language" not in language.roles and kind != ranking_kind:
        usable = listed([f"kind='{name}'" for name in language_kinds()])
        raise CompositionError(
            f"{language.plural} are not language modules.\nUse {usable} for the language modules."
        )
    for row in (language, ranking) if ranking.acts == "model" else (language,):
        if (reason := row.refused.get(routing)) is not None:
            raise CompositionError(reason)


def check_late_routing(kind: str, routing: str, indexed: bool = False) -> None:
    """Raise unless late interaction can route texts so.

    Args:
        kind: of the ranking module.
        indexed: whether the documents' vectors are stored before the queries are known.

    Raises:
        UsageError: an unknown kind, or a routing that late interaction does not have.
        CompositionError: `query` for an index.
    """
    if routing not in kind_named(kind).late_routings:
        raise UsageError(LATE_REFUSED.format(routing=routing))
    if indexed and routing == "query":
        raise CompositionError(INDEX_REFUSED)
