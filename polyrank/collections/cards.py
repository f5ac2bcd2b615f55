"""What is said of a collection: its size, licence, source, and how to get it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from polyrank.languages.tags import normalise

CLEAN = "test: nothing in polyrank was trained or tuned on it"


@dataclass(frozen=True)
class CollectionCard:
    """One collection, or one pattern of names (with a word in capitals to fill in).

    Attributes:
        name: what `load_collection` and --collection take.
        title: what it is, in a line.
        source: a name of `polyrank.collections.catalogue.SOURCES`.
        queries, documents: languages, as normalised tags; empty where the user's data says.
        sizes: number of queries and documents; None where it depends or is not known.
        licence: as its publisher states it; read it there before use.
        url: where it is from.
        download: bytes that are fetched at the first use; 0 for none, None where not known.
        split: which part it is.
        use: `test` or `development`: what it may be used for in this project, and why.
        reference: the paper.
        get: how to get it.
        example: a command.
    """

    name: str
    title: str
    source: str
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    sizes: tuple[int | None, int | None]
    licence: str
    url: str
    download: int | None
    split: str
    use: str
    reference: str
    get: str
    example: str

    def speaks(self, language: str) -> bool:
        """Whether it has queries or documents in a language."""
        return normalise(language) in {*self.queries, *self.documents}

    def renamed(self, name: str) -> CollectionCard:
        """The card of one collection, from that of a pattern of names."""
        return replace(self, name=name, example=self.example.replace(self.name, name))


def tags(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def card_named(name: str, cards: Sequence[CollectionCard]) -> CollectionCard:
    """The card of this name, else the last, which is that of the pattern, under this name."""
    exact = next((card for card in cards if card.name == name), None)
    return cards[-1].renamed(name) if exact is None else exact
