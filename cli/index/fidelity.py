"""polyrank index fidelity."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from polyrank.errors import UsageError

from .. import checks, options
from ..options import AsJson
from .inputs import queries_of
from .opened import open_index
from .options import Base, Candidates, Folder, Languages, Probe, Ranking, pruning_of, split


def fidelity(
    context: typer.Context,
    folder: Folder,
    collection: options.CollectionName = None,
    queries: options.QueriesFile = None,
    query_language: options.QueryLanguage = None,
    languages: Languages = None,
    probe: Probe = None,
    candidates: Candidates = 1024,
    depths: Annotated[str, typer.Option(help="Depths of recall.")] = "10,100",
    limit: options.Limit = None,
    base: Base = None,
    ranking: Ranking = None,
    device: options.Device = None,
    as_json: AsJson = False,
) -> None:
    """Hold an index against exact search: recall, and nDCG where there are judgements, by language.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw --codec residual-2
      polyrank index fidelity articles --collection ntrex --query-language tr --limit 20 --probe 4
    """
    from polyrank.evaluation.fidelity import fidelity as hold

    if probe is None:
        checks.of_no_use(context, "no --probe", ("candidates",))
    texts = queries_of(collection, queries, query_language)
    asked = list(texts.queries.values())[:limit]
    index = open_index(folder, base, ranking, device)
    found = hold(
        index,
        asked,
        texts.qrels,
        [_number(word) for word in depths.split(",")],
        pruning_of(probe, candidates),
        split(languages),
    )
    print(json.dumps(asdict(found)) if as_json else found)


def _number(word: str) -> int:
    if not word.strip().isdigit():
        raise UsageError(f"--depths takes numbers between commas, such as 10,100; not '{word}'")
    return int(word)
