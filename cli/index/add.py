"""polyrank index add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.collections.id_policies import ON_DUPLICATE

from .. import options
from ..choices import Choice
from ..options import AsJson
from ..rerankers import report
from .change_notes import tell_change, tell_cost, without_text
from .inputs import documents_of
from .opened import open_index, scaled_out
from .options import Base, Folder, Languages, Ranking, Ray

if TYPE_CHECKING:
    from polyrank.index.multivector import Encoder


class OnDuplicate(Choice, names=ON_DUPLICATE):
    """What happens to documents whose id the index has."""


def add(
    folder: Folder,
    collection: options.CollectionName = None,
    documents: options.DocumentsFile = None,
    document_language: options.DocumentLanguage = None,
    languages: Languages = None,
    duplicates: Annotated[
        OnDuplicate, typer.Option(help="Documents whose id is there: stop, replace or skip them.")
    ] = OnDuplicate.error,
    base: Base = None,
    ranking: Ranking = None,
    device: options.Device = None,
    precision: options.Precision = None,
    ray: Ray = None,
    ray_workers: options.RayWorkers = None,
    as_json: AsJson = False,
) -> None:
    """Add documents to an index: all of them, or on any error none.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en
      polyrank index add articles --collection ntrex --languages sw
    """
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.index.multivector import add as add_documents

    texts = documents_of(collection, documents, document_language, languages)
    index = open_index(folder, base, ranking, device, precision)
    local = index.encoder

    def encoder() -> Encoder:
        return open_index(folder.absolute(), base, ranking, device, precision).encoder

    with scaled_out(local, encoder, ray, ray_workers) as scaled:
        change = add_documents(folder, texts, scaled, duplicates.value)
        report(scaled)
    report(getattr(local, "model", None))
    old = f", {change.deleted} of them in place of older ones" if change.deleted else ""
    what = f"added {change.added} documents{old}{without_text(change.empty)}"
    tell_change(folder, change, what, as_json)
    if change.added:
        tell_cost(MultiVectorIndex(folder))
