"""The options of translation of a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.errors import UsageError
from polyrank.translation.presets import TRANSLATING

from . import rerankers

if TYPE_CHECKING:
    from polyrank.collections.records import Collection
    from polyrank.translation.translator import Translator


def check(preset: str, translator: str | None, memory: Path | None) -> None:
    """Refuse, before the work, options of translation that do not go together.

    Raises:
        UsageError: a preset without the translator that it needs, or the other way round.
    """
    if preset in TRANSLATING and translator is None:
        raise UsageError(
            f"--translate {preset} needs a --translator: an address, a model, memory:FILE, "
            "parallel:COLLECTION or lexicon:COLLECTION"
        )
    if preset not in TRANSLATING and (translator is not None or memory is not None):
        raise UsageError("--translator and --memory go with --translate query or document")


def with_options(
    texts: Collection,
    preset: str,
    translator: str | None,
    memory: Path | None,
    collection: str | None,
    split: str | None,
) -> Collection:
    """The texts as the options say.

    Args:
        collection, split: where 'gold' finds queries in the documents' language.
    """
    from polyrank.translation.presets import with_gold, with_translations

    if preset == "gold":
        if collection is None:
            raise UsageError("--translate gold takes a --collection, where its queries are")
        return with_gold(texts, collection, split)
    made = None if translator is None else kept(translator, memory)
    found = with_translations(texts, preset, made)
    if made is not None:
        report(made)
    return found


def kept(translator: str, memory: Path | None) -> Translator:
    """A translator by its name, with a memory where there is a file for one."""
    from polyrank.translation.kept import Kept
    from polyrank.translation.translator import load_translator

    made = load_translator(translator)
    return made if memory is None else Kept(made, memory, translator)


def report(translator: Translator) -> None:
    """What a translator cut or assumed, on stderr."""
    from polyrank.translation.translator import notebook_of

    rerankers.report(notebook_of(translator))
