"""BM25 over `bm25s`, with tokens for every script."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from polyrank.collections.records import Document, Query, Run, ScoredDocument
from polyrank.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tokenizer = Callable[[str], list[str]]

# Blocks of scripts written without spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark and zero
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),  # kana, small
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x3FFFF),  # Han, extensions
)
_SEPARATOR, _WORD, _CHARACTER = range(3)


def tokenize(text: str) -> list[str]:
    """Case-folded words of Unicode letters, marks and digits, after NFKC.

    Scripts without spaces (Han, kana, Thai, Lao, Myanmar, Khmer) give single characters and then
    bigrams instead; a combining mark stays with the character that carries it.

    >>> tokenize("Den 3. Mai: 北京市")
    ['den', '3', 'mai', '北', '京', '市', '北京', '京市']
    """
    tokens: list[str] = []
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    for kind, group in groupby(folded, key=_kind):
        if kind == _WORD:
            tokens.append("".join(group))
        elif kind == _CHARACTER:
            characters = _with_marks(group)
            tokens += characters + [a + b for a, b in pairwise(characters)]
    return tokens


@lru_cache(maxsize=65536)
def _kind(character: str) -> int:
    if unicodedata.category(character)[0] not in "LMN":
        return _SEPARATOR
    code = ord(character)
    return _CHARACTER if any(a <= code <= b for a, b in _UNSPACED) else _WORD


def _with_marks(characters: Iterable[str]) -> list[str]:
    joined: list[str] = []
    for character in characters:
        if joined and unicodedata.category(character).startswith("M"):
            joined[-1] += character
        else:
            joined.append(character)
    return joined


class BM25:
    """A lexical first stage (Robertson & Zaragoza 2009, Lucene's variant) in memory.

    score(q, d) = Σ over q's tokens t of  log(1 + (N - n_t + .5) / (n_t + .5)) ·
                  tf / (tf + k1 · (1 - b + b · |d| / mean |d|))

    A token that occurs twice in the query counts twice. Titles count as text.

    Args:
        documents: what is searched; their ids must differ.
        tokenizer: text → tokens, for queries and documents alike; `tokenize` by default. Give a
            subword tokenizer's `.tokenize` to match across inflected forms.
        k1: saturation of term frequency, zero or more (0.9, as Anserini).
        b: normalisation by length, 0 to 1 (0.4, as Anserini).

    Raises:
        UsageError: without documents, for a repeated id, or for k1 or b out of range.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        tokenizer: Tokenizer | None = None,
        k1: float = 0.9,
        b: float = 0.4,
    ) -> None:
        import bm25s

        if not k1 >= 0 or not 0 <= b <= 1:
            raise UsageError(f"BM25 needs k1 ≥ 0 and 0 ≤ b ≤ 1, not k1={k1}, b={b}")
        # In id order, so that a stable sort by score breaks ties by id.
        ordered = sorted(documents, key=lambda document: document.id)
        if not ordered:
            raise UsageError("BM25 needs at least one document")
        for one, other in pairwise(ordered):
            if one.id == other.id:
                raise UsageError(f"two documents have the id {one.id!r}; ids must differ")
        self.tokenizer = tokenizer or tokenize
        self.ids = [document.id for document in ordered]
        tokens = [self.tokenizer(document.full_text) for document in ordered]
        self._index = None
        if any(tokens):
            self._index = bm25s.BM25(method="lucene", k1=k1, b=b, backend="numpy")
            self._index.index(tokens, show_progress=False)

    def search(self, queries: Iterable[Query], depth: int = 100, pad: bool = True) -> Run:
        """The `depth` best documents of each query, fewer only when there are fewer.

        Documents without any token of the query score 0. With `pad` they fill the ranking in id
        order, so that a reranker has candidates even where no word matches, which between two
        scripts is the rule; without it they are left out, and a query may get an empty list.

        Raises:
            UsageError: when depth is below 1.
        """
        if depth < 1:
            raise UsageError(f"depth is {depth}; give 1 or more")
        return {query.id: self._search_one(query, depth, pad) for query in queries}

    def _search_one(self, query: Query, depth: int, pad: bool) -> list[ScoredDocument]:
        scores = self.scores(query.text)  # (documents,), in id order
        best = (-scores).argsort(kind="stable")[:depth]
        return [
            ScoredDocument(query.id, self.ids[i], float(scores[i]))
            for i in best
            if pad or scores[i] > 0
        ]

    def scores(self, text: str) -> NDArray[np.float32]:
        """The score of every document, (documents,), in the order of `ids`."""
        import numpy as np

        if self._index is None:
            return np.zeros(len(self.ids), dtype=np.float32)
        known = [token for token in self.tokenizer(text) if token in self._index.vocab_dict]
        if not known:
            return np.zeros(len(self.ids), dtype=np.float32)
        return self._index.get_scores(known)
