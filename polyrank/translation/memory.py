"""Translators that look translations up: files of earlier ones, and collections with parallel
texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrank.collections.appended import appended
from polyrank.collections.jsonl import json_object
from polyrank.errors import DataError, UsageError

Key = tuple[str, str, str]  # source language, target language, text
NAMES = ("source", "target", "text", "translation")  # fields of a row, all of them texts


class Memory:
    """Knows what it was told, and nothing else.

    Args:
        name: in messages.
        known: source, target and text → translation.
    """

    def __init__(self, name: str, known: dict[Key, str]) -> None:
        self.name, self.known = name, known

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations.

        Raises:
            UsageError: a text that it does not know; it says how many.
        """
        missing = [text for text in texts if (source, target, text) not in self.known]
        if missing:
            raise UsageError(
                f"{self.name} lacks {len(missing)} of {len(texts)} texts from {source} to "
                f"{target}; the first: '{missing[0][:80]}'.\nMake them with 'polyrank translate' "
                "and another --translator."
            )
        return [self.known[source, target, text] for text in texts]


def translation_memory(path: str | Path) -> Memory:
    """What `--memory` kept, or JSON lines with `source`, `target`, `text`, `translation`; whose
    translations they are is not asked.

    Raises:
        DataError: a malformed line.
    """
    path = Path(path)
    rows = appended(path, lambda line, number: entry(line, path, number))
    return Memory(str(path), {row.key: row.translation for row in rows})


@dataclass(frozen=True)
class Entry:
    """A line of a memory.

    Attributes:
        key: source language, target language, text.
        translation: of that text.
        translator: the name of the one that made it; None where the file was written otherwise.
    """

    key: Key
    translation: str
    translator: str | None = None


def entry(line: str, path: Path, number: int) -> Entry:
    """A line of a memory's file.

    Raises:
        DataError: a malformed line.
    """
    row = json_object(line, path, number)
    if lacking := [name for name in NAMES if not isinstance(row.get(name), str)]:
        raise DataError(
            path, number, f"no text in '{lacking[0]}'; a memory's rows have {', '.join(NAMES)}"
        )
    translator = row.get("translator")
    if not isinstance(translator, str | None):
        raise DataError(path, number, f"'translator' is {translator!r}, not a name")
    return Entry((row["source"], row["target"], row["text"]), row["translation"], translator)


class Parallel:
    """The human translations of a collection whose texts share ids across languages.

    Args:
        name: of the collection, such as 'xquad'.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._memories: dict[tuple[str, str], Memory] = {}

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations.

        Raises:
            UsageError: a language or a text that the collection lacks.
        """
        pair = (source, target)
        if pair not in self._memories:
            self._memories[pair] = Memory(f"the collection '{self.name}'", self._read(*pair))
        return self._memories[pair](texts, *pair)

    def _read(self, source: str, target: str) -> dict[Key, str]:
        known: dict[Key, str] = {}
        for ours, theirs in parallel_pairs(self.name, source, target):
            known[source, target, ours] = theirs
        return known


def parallel_texts(name: str) -> Parallel:
    """The translator `parallel:COLLECTION`."""
    return Parallel(name)


def parallel_pairs(name: str, source: str, target: str) -> list[tuple[str, str]]:
    """Texts of a collection in two languages: its queries and its documents, by their ids.

    Documents in several languages share a `group`, or an id.
    """
    from polyrank.collections.load import load_collection

    ours = load_collection(name, queries=source, documents=source)
    theirs = load_collection(name, queries=target, documents=target)
    pairs = [
        (query.text, theirs.queries[identity].text)
        for identity, query in ours.queries.items()
        if identity in theirs.queries
    ]
    grouped = {d.group or d.id: d for d in theirs.documents.values()}
    for document in ours.documents.values():
        other = grouped.get(document.group or document.id)
        if other is not None:
            pairs.append((document.text, other.text))
            pairs += [(document.title, other.title)] if document.title and other.title else []
    return pairs
