"""polyrank index build."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.kernels.codecs import CODECS
from polyrank.progress import note

from .. import checks, options
from ..choices import Choice
from ..options import AsJson, Fallback, Kind, LanguageKind, Routing
from ..rerankers import report
from .change_notes import tell_cost, tell_cut, without_text
from .inputs import documents_of
from .opened import scaled_out
from .options import Folder, Languages, Ray


class CodecName(Choice, names=CODECS):
    """How vectors are stored."""


def build(
    context: typer.Context,
    folder: Folder,
    collection: options.CollectionName = None,
    documents: options.DocumentsFile = None,
    document_language: options.DocumentLanguage = None,
    languages: Languages = None,
    codec: Annotated[
        CodecName, typer.Option(help="How vectors are stored: exact, or residual codes of b bits.")
    ] = CodecName.fp16,
    centroids: Annotated[
        int | None,
        typer.Option(min=0, help="For --probe; else ColBERTv2's rule for residual codes, or none."),
    ] = None,
    base: options.Base = DEFAULT_BASE,
    ranking: Annotated[
        str | None,
        typer.Option(
            help="The late-interaction module: a name of the zoo or a folder; 'none' for the "
            "base's own token states; else squad-li, or none where there is no such module and the "
            "base's vectors are for retrieval."
        ),
    ] = None,
    kind: Annotated[Kind, typer.Option(help="The kind of that module.")] = Kind.adapter,
    language_kind: Annotated[
        LanguageKind | None,
        typer.Option(
            help="Of the language modules; else as --kind, adapters under a full model. Not for an "
            "XMOD, which has its own."
        ),
    ] = None,
    routing: Annotated[
        Routing | None,
        typer.Option(
            help="Which language module texts pass through: split their own language's, document "
            "the documents' (queries too), none; else as the module was trained.",
        ),
    ] = None,
    fallback: options.FallbackOption = Fallback.error,
    document_length: Annotated[
        int | None, typer.Option(min=8, help="Tokens of a document that are read.")
    ] = None,
    shard: Annotated[
        int, typer.Option(min=1, help="Documents between points from which --resume goes on.")
    ] = 2048,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a build.")] = False,
    device: options.Device = None,
    precision: options.Precision = None,
    seed: options.Seed = 0,
    ray: Ray = None,
    ray_workers: options.RayWorkers = None,
    as_json: AsJson = False,
) -> None:
    """Encode documents into a new index. A build that was stopped goes on with --resume.

    The index keeps --routing and the modules of its documents, and searches with these.
    With --ray a worker gets a shard at a time, and its death costs that shard's encoding alone.

    \b
    Example (NTREX articles of two languages in one index, asked in a third):
      polyrank index build articles --collection ntrex --languages en,sw
      polyrank search --index articles --query-language ky --no-rerank \\
          --query "Лондондогу полиция" --languages sw
    """
    from polyrank.index.multivector import ModelEncoder, MultiVectorIndex, Plan
    from polyrank.index.multivector import build as build_index
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.modules.kinds import NO_RANKING
    from polyrank.rerankers.families import WITHOUT_MODULE

    checks.modules_of_use(context, routing, ("fallback", "language-kind"))
    plan = Plan(codec.value, centroids, shard, seed)
    texts = documents_of(collection, documents, document_language, languages)

    chosen = precision

    def encoder() -> ModelEncoder:
        return ModelEncoder(
            LateInteraction(
                base,
                ranking,
                kind.value,
                routing and routing.value,
                language_kind=language_kind and language_kind.value,
                fallback=fallback.value,
                document_length=document_length,
                device=device,
                precision=chosen,
            )
        )

    local = encoder()
    chosen = local.model.precision.name  # what 'auto' meant, for workers on other machines
    if ranking is None and local.model.ranking == NO_RANKING:
        note(WITHOUT_MODULE)
    with scaled_out(local, encoder, ray, ray_workers) as scaled:
        done = build_index(folder, texts, scaled, plan, resume)
        report(scaled)
    report(local.model)
    tell_cut(scaled, local.model)
    words = f"{done.documents} documents, {done.tokens} token vectors"
    note(f"built {folder}: {words}{without_text(done.empty)}")
    tell_cost(MultiVectorIndex(folder))
    if done.resumed:
        note(f"{done.resumed} shards were already encoded")
    if as_json:
        print(json.dumps(asdict(done)))
