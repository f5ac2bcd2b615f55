"""A word-by-word translator from a lexicon, the weakest one there is: for examples and baselines.

IBM Model 1 (Brown et al. 1993, "The Mathematics of Statistical Machine Translation", §4.2),
with the empty word, learnt by expectation–maximisation from sentences of a parallel collection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from polyrank.errors import UsageError
from polyrank.translation.marked import MARKER
from polyrank.translation.memory import parallel_pairs

ROUNDS = 5
WORD = re.compile(r"\w+")
PIECE = re.compile(rf"{MARKER.pattern}|\w+")  # markers of spans stay where they are
EMPTY = ""  # the word that stands for nothing


def lexicon_of(name: str) -> Lexicon:
    """The translator `lexicon:COLLECTION`."""
    return Lexicon(name)


class Lexicon:
    """Puts the likeliest word of the target for each word of a text; unknown words stay.

    Args:
        name: of a collection with parallel texts, such as 'ntrex'.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tables: dict[tuple[str, str], dict[str, str]] = {}

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations.

        Raises:
            UsageError: a collection without texts in both languages.
        """
        pair = (source, target)
        if pair not in self._tables:
            pairs = parallel_pairs(self.name, *pair)
            if not pairs:
                raise UsageError(f"'{self.name}' has no texts in both {source} and {target}")
            self._tables[pair] = likeliest(pairs)
        table = self._tables[pair]
        pieces = [[match[0] for match in PIECE.finditer(text.lower())] for text in texts]
        return [" ".join(table.get(piece, piece) for piece in own) for own in pieces]


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return WORD.findall(text.lower())


def likeliest(pairs: Sequence[tuple[str, str]], rounds: int = ROUNDS) -> dict[str, str]:
    """Source word → the target word that most often stands for it.

    Learnt is t(target word | source word) by Model 1; of the links of a target word, its
    share goes to each source word of its sentence by t. A source word's translation is the target
    word of the highest t, ties by the alphabet.
    """
    ours: dict[str, int] = {EMPTY: 0}
    theirs: dict[str, int] = {}
    sides = [
        (
            np.array([ours.setdefault(word, len(ours)) for word in (EMPTY, *words(source))]),
            np.array([theirs.setdefault(word, len(theirs)) for word in words(target)], dtype=int),
        )
        for source, target in pairs
    ]
    row = np.concatenate([np.tile(source, len(target)) for source, target in sides])
    column = np.concatenate([np.repeat(target, len(source)) for source, target in sides])
    sizes = np.concatenate([np.full(len(target), len(source)) for source, target in sides])
    place = np.repeat(np.arange(len(sizes)), sizes)  # of the target word that a link is of
    names, table = list(theirs), _learnt(row, column, place, len(theirs), rounds)
    best: dict[int, tuple[float, str]] = {}
    for (source, target), probability in table.items():
        best[source] = min(best.get(source, (0.0, "")), (-probability, names[target]))
    return {word: best[number][1] for word, number in ours.items() if word and number in best}


def _learnt(
    row: np.ndarray, column: np.ndarray, place: np.ndarray, width: int, rounds: int
) -> dict[tuple[int, int], float]:
    """t(column | row) of the links, by expectation and maximisation; all start alike."""
    linked, link = np.unique(row * width + column, return_inverse=True)
    sources, probability = linked // width, np.ones(len(linked))
    for _ in range(rounds):
        of_links = probability[link]
        share = of_links / np.bincount(place, of_links)[place]  # expected counts
        counts = np.bincount(link, share)
        probability = counts / np.bincount(sources, counts)[sources]
    pairs = zip(sources.tolist(), (linked % width).tolist(), strict=True)
    return dict(zip(pairs, probability.tolist(), strict=True))
