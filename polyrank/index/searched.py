"""The documents that a first stage in memory searches, in the order of its rows."""

from __future__ import annotations

from itertools import pairwise

from polyrank.collections.records import Document
from polyrank.collections.texts import Documents, as_documents
from polyrank.collections.without_text import left_out
from polyrank.errors import UsageError
from polyrank.notes import Notes


def searched(documents: Documents) -> tuple[list[Document], Notes]:
    """Documents by ascending id, so that a stable sort by score breaks ties by id; those without
    text are left out, and counted.

    Raises:
        UsageError: when there are none, none with text, or two with the same id.
    """
    in_order = sorted(as_documents(documents), key=lambda document: document.id)
    if not in_order:
        raise UsageError("a first stage needs at least one document")
    for one, other in pairwise(in_order):
        if one.id == other.id:
            raise UsageError(f"two documents have the id '{one.id}'; ids must be unique")
    kept, notes = left_out(in_order)
    if not kept:
        raise UsageError(f"none of the {len(in_order):,} documents has any text to search")
    return kept, notes
