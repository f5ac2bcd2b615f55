"""Notes: what was assumed, cut or repaired on the way to a result, counted.

A note has a kind, for programs, and a sentence, for people. Programs ask for the kind and never
read the sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

# Kind → what it says.
KINDS = {
    "identified": "a language that nobody named was identified",
    "unidentified": "a text tells no language",
    "fallback": "a language without a module runs over another one, or over none",
    "transfer": "a ranking module runs over another language than it was trained over",
    "composition": "modules run together in another way than they were trained",
    "unverified": "nobody recorded on which weights a module was trained",
    "empty": "a document has no text",
    "unmatched": "no document shares a word with a query",
    "cut": "a text was longer than what is read",
    "memory": "memory ran out, so batches became smaller",
    "precision": "the numbers to compute in were chosen here",
    "malformed": "an answer of a language model did not have the form that was asked for",
    "other": "anything else",
}


# Sentences of these kinds begin with a word of their own, so that a saved one is known again.
_FIRST_WORDS = {"transfer": "zero-shot: ", "unverified": "unverified: "}


class Note(str):
    """A sentence for the user, with its kind for programs; compared and saved as the sentence.

    Args:
        kind: one of `KINDS`.
        text: the sentence.
    """

    kind: str

    def __new__(cls, kind: str, text: str) -> Note:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of note '{kind}'; use one of {', '.join(KINDS)}")
        note = super().__new__(cls, text)
        note.kind = kind
        return note

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return self.kind, str(self)

    @classmethod
    def read(cls, text: str) -> Note:
        """A note that was saved as its sentence."""
        for kind, words in _FIRST_WORDS.items():
            if text.startswith(words):
                return cls(kind, text)
        return cls("other", text)


class Notes(Mapping[Note, int]):
    """Notes and how often each was made: a value, in the order of their making."""

    def __init__(self, counts: Mapping[Note, int] | Iterable[tuple[Note, int]] = ()) -> None:
        self._counts = {note: times for note, times in dict(counts).items() if times}

    def __getitem__(self, note: str) -> int:
        return self._counts[note]  # type: ignore[index]

    def __iter__(self) -> Iterator[Note]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __hash__(self) -> int:
        return hash(frozenset(self._counts.items()))

    def __add__(self, other: Mapping[Note, int]) -> Notes:
        return Notes({note: self.get(note, 0) + other.get(note, 0) for note in (*self, *other)})

    def __sub__(self, earlier: Mapping[Note, int]) -> Notes:
        """What was noted since `earlier`."""
        return Notes({note: times - earlier.get(note, 0) for note, times in self.items()})

    def of_kind(self, kind: str) -> Notes:
        """Those of one kind."""
        return Notes({note: times for note, times in self.items() if note.kind == kind})

    def total(self) -> int:
        """How many there are, each as often as it was made."""
        return sum(self.values())

    def __repr__(self) -> str:
        return f"Notes({self._counts!r})"

    def lines(self) -> list[str]:
        """A line for each, with its count where it is more than 1."""
        return [
            f"{note} ({times} times)" if times > 1 else str(note) for note, times in self.items()
        ]


class Notebook:
    """Collects notes while something works; `notes` is what stands in it."""

    def __init__(self) -> None:
        self._counts: dict[Note, int] = {}

    def add(self, kind: str, text: str, times: int = 1) -> None:
        """Count a note up."""
        self.update({Note(kind, text): times})

    def update(self, notes: Mapping[Note, int]) -> None:
        """Count all of these up."""
        for note, times in notes.items():
            if times:
                self._counts[note] = self._counts.get(note, 0) + times

    @property
    def notes(self) -> Notes:
        """Everything noted so far."""
        return Notes(self._counts)
