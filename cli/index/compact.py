"""polyrank index compact."""

from __future__ import annotations

from ..options import AsJson
from .change_notes import tell_change
from .options import Folder


def compact(folder: Folder, as_json: AsJson = False) -> None:
    """Free the space of deleted documents and merge segments. No result changes.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw
      polyrank index delete articles --languages sw
      polyrank index compact articles
    """
    from polyrank.index.multivector import MultiVectorIndex

    change = MultiVectorIndex(folder).compact()
    tell_change(folder, change, f"freed {change.deleted} deleted documents", as_json)
