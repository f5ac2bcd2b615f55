"""polyrank compose: plan a reranker, print the plan, check it, keep it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import CompositionError, UsageError
from polyrank.progress import note

from . import checks, options
from .options import Fallback, Kind, Routing

if TYPE_CHECKING:
    from polyrank.base import Base
    from polyrank.composition.plan import Composition


def compose(
    context: typer.Context,
    query_language: Annotated[
        str | None, typer.Option(help="Language of the queries, such as ky.")
    ] = None,
    document_language: Annotated[
        str | None, typer.Option(help="Language of the documents, such as en.")
    ] = None,
    base: options.Base = DEFAULT_BASE,
    ranking: options.Ranking = "squad",
    kind: options.KindOption = Kind.adapter,
    ranking_kind: Annotated[
        Kind | None, typer.Option(help="The kind of the ranking module; else as --kind.")
    ] = None,
    routing: options.RoutingOption = None,
    fallback: options.FallbackOption = Fallback.error,
    output: Annotated[
        Path | None, typer.Option(help="Keep the plan in this file, for rerank --composition.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Write one plain checkpoint (masks only) in this folder.")
    ] = None,
    half: options.Half = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Plan a reranker for a pair of languages: which module acts on which tokens.

    All modules are found and their files checked. With --output the plan is kept in a small file,
    with the sha256 of every module: 'rerank --composition FILE' runs it, and refuses other weights.

    \b
    Examples:
      polyrank compose --query-language ky --document-language en
      polyrank compose --query-language tr --document-language en --output tr-en.json
      polyrank rerank --composition tr-en.json --collection ntrex --first-stage dense \\
          --depth 10 --limit 5 --output tr-en.trec
    """
    from polyrank.base import load_base
    from polyrank.composition.plan import compose as plan_of
    from polyrank.composition.routing import usual_routing
    from polyrank.composition.saved import saved

    if half and checkpoint is None:
        raise UsageError("--half says how --checkpoint is stored; give a folder for it")
    if output is None:
        checks.of_no_use(context, "no --output", ("overwrite",))
    ranking_value = ranking_kind and ranking_kind.value
    chosen = routing or Routing(usual_routing(kind.value, ranking_value))
    checks.modules_of_use(context, chosen)
    loaded = load_base(base)
    plan = plan_of(
        loaded,
        ranking,
        query_language,
        document_language,
        routing=chosen.value,
        kind=kind.value,
        ranking_kind=ranking_value,
        fallback=fallback.value,
    )
    kept = saved(plan, base)
    print(kept.to_json() if as_json else plan, end="" if as_json else "\n")
    if output is not None:
        kept.write(output, overwrite)
        note(f"wrote {output}; run it with:  polyrank rerank --composition {output}")
    if checkpoint is not None:
        _write_checkpoint(plan, loaded, checkpoint, half)


def _write_checkpoint(plan: Composition, base: Base, folder: Path, half: bool) -> None:
    from polyrank.composition.merge import merge
    from polyrank.modules.kinds import KINDS

    acts = {KINDS[plan.kind].acts, KINDS[plan.ranking_kind].acts}
    if acts == {"model"}:
        raise CompositionError(
            f"the ranking module '{plan.ranking}' is a plain checkpoint already.\nUse its folder; "
            f"'polyrank zoo info {plan.base}/ranking/{plan.ranking_kind}/{plan.ranking}' shows it."
        )
    if "tokens" in acts:
        raise CompositionError(
            "adapters cannot be written as one plain checkpoint: they are layers of their own "
            "between the base's, and each token runs through those of its language, so no change "
            "of the base's weights is equal to them.\nKeep the plan with --output FILE and run it "
            "with 'polyrank rerank --composition FILE', or compose masks (--kind mask)."
        )
    done = merge(plan, base, folder, probe=_probe(plan, base) if half else None)
    note(f"wrote {folder}, a checkpoint that transformers loads without polyrank")
    if done.stored is not None:
        note(str(done.stored))


def _probe(plan: Composition, base: Base) -> list[dict[str, Any]]:
    """Pairs of Flores sentences in the plan's languages, right ones and wrong ones alike; English
    stands in for a language that Flores lacks."""
    from polyrank.collections.catalogue import collection_card
    from polyrank.collections.load import load_collection
    from polyrank.encoders.tokens import position_limit
    from polyrank.modules.storage import PROBE

    card = collection_card("flores")
    pair = [
        tag if tag is not None and card.speaks(tag) else "en"
        for tag in (plan.query_language, plan.document_language)
    ]
    note(f"weights in fp16 are tried on Flores sentences in {' and '.join(dict.fromkeys(pair))}")
    texts = load_collection("flores", queries=pair[0], documents=pair[1], limit=16 * PROBE)
    queries = [query.text for query in texts.queries.values()]
    documents = [document.full_text for document in texts.documents.values()][: len(queries)]
    length = min(160, position_limit(base.model.config))
    found = []
    for start in range(0, 16 * PROBE, 16):
        asked, told = queries[start : start + 16], documents[start : start + 16]
        encoded = base.tokenizer(
            asked * 2,
            told + told[1:] + told[:1],
            truncation="longest_first",
            max_length=length,
            padding=True,
            return_tensors="pt",
        )
        found.append(dict(encoded))
    return found
