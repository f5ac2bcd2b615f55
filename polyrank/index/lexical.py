"""BM25 over `bm25s`, every document by the analyser of its language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from polyrank.base import DEFAULT_BASE
from polyrank.collections.records import Document, Query, Run, ScoredDocument
from polyrank.collections.texts import Documents, Queries, queries_of
from polyrank.errors import UsageError
from polyrank.index.analysis import ANALYSES, Analyser, Tokenizer, analyser
from polyrank.index.searched import searched
from polyrank.languages import tags
from polyrank.notes import Notebook, Notes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


UNMATCHED = "no document shares a word with a query; dense retrieval finds by meaning"


class BM25:
    """A lexical first stage (Robertson & Zaragoza 2009, Lucene's variant) in memory.

    score(q, d) = Σ over q's tokens t of  log(1 + (N - n_t + .5) / (n_t + .5)) ·
                  tf / (tf + k1 · (1 - b + b · |d| / mean |d|))

    A token that occurs twice in the query counts twice. Titles count as text.

    Documents may be in any mixture of languages. Each is analysed by its own language, and scored
    by the query analysed in the same way, so a word written alike in both always matches, whatever
    the language of the query. Print the index to see what was chosen for which language.

    Args:
        documents: what is searched; their ids must differ. A missing language is identified where
            the analysis depends on it, and counted in `notes`; those without text are counted
            there too, and never found.
        tokenizer: text → tokens, for every query and document, in place of an analysis.
        k1: saturation of term frequency, zero or more (0.9, as Anserini).
        b: normalisation by length, 0 to 1 (0.4, as Anserini).
        analysis: 'words', 'stems' (words where Snowball has no stemmer) or 'subwords'; or these
            by language, such as {"zh": "subwords"}, and 'stems' for the languages not named.
        base: whose vocabulary makes the sub-words.

    Raises:
        UsageError: without documents that have text, for a repeated id, for k1 or b out of range,
            an unknown analysis, or a tokenizer beside one.
        ModuleError: a base whose vocabulary cannot be read.
    """

    def __init__(
        self,
        documents: Documents,
        tokenizer: Tokenizer | None = None,
        k1: float = 0.9,
        b: float = 0.4,
        analysis: str | Mapping[str, str] | None = None,
        base: str = DEFAULT_BASE,
    ) -> None:
        import bm25s
        import numpy as np

        if not k1 >= 0 or not 0 <= b <= 1:
            raise UsageError(f"BM25 needs k1 ≥ 0 and 0 ≤ b ≤ 1, not k1={k1}, b={b}")
        ordered, empty = searched(documents)
        if tokenizer is not None and analysis is not None:
            raise UsageError("give BM25 a tokenizer or an analysis, not both")
        self.ids = [document.id for document in ordered]
        self._notebook = Notebook()
        self._notebook.update(empty)
        chosen = _analysers(ordered, tokenizer, analysis, base, self._notebook)
        self.languages = Counter(chosen)  # (language, analyser) -> documents
        of_row = [by.name for _, by in chosen]
        self._groups = [  # every analyser once, with the rows of its documents
            (by, np.array([row for row, name in enumerate(of_row) if name == by.name]))
            for by in {by.name: by for _, by in chosen}.values()
        ]
        tokens = [by.tokens(d.full_text) for (_, by), d in zip(chosen, ordered, strict=True)]
        self._index = None
        if any(tokens):
            self._index = bm25s.BM25(method="lucene", k1=k1, b=b, backend="numpy")
            self._index.index(tokens, show_progress=False)

    @property
    def notes(self) -> Notes:
        """What was assumed of documents, and how many queries matched none, so far."""
        return self._notebook.notes

    def search(self, queries: Queries, depth: int = 100, pad: bool = True) -> Run:
        """The `depth` best documents of each query, fewer only when there are fewer.

        Documents without any token of the query score 0. With `pad` they fill the ranking in id
        order, so that a reranker has candidates even where no word matches, which between two
        scripts is the rule; without it they are left out, and a query may get an empty list.
        Queries that match no document are counted in `notes`.

        Raises:
            UsageError: when depth is below 1.
        """
        if depth < 1:
            raise UsageError(f"depth is {depth}; give 1 or more")
        return {query.id: self._search_one(query, depth, pad) for query in queries_of(queries)}

    def _search_one(self, query: Query, depth: int, pad: bool) -> list[ScoredDocument]:
        scores = self.scores(query.text)  # (documents,), in id order
        best = (-scores).argsort(kind="stable")[:depth]
        if not scores[best[0]] > 0:
            self._notebook.add("unmatched", UNMATCHED)
        return [
            ScoredDocument(query.id, self.ids[i], float(scores[i]))
            for i in best
            if pad or scores[i] > 0
        ]

    def scores(self, text: str) -> NDArray[np.float32]:
        """The score of every document, (documents,), in the order of `ids`."""
        import numpy as np

        scores = np.zeros(len(self.ids), dtype=np.float32)
        if self._index is None:
            return scores
        for by, rows in self._groups:
            known = [token for token in by.tokens(text) if token in self._index.vocab_dict]
            if known:
                scores[rows] = self._index.get_scores(known)[rows]
        return scores

    def __repr__(self) -> str:
        """BM25(246 documents: en stems (english) 123, zh words 123), most first."""
        parts = [
            f"{language or 'any language'} {by} {count:,}"
            for (language, by), count in self.languages.most_common()
        ]
        return f"BM25({len(self.ids):,} documents: {', '.join(parts)})"


def _analysers(
    documents: Sequence[Document],
    tokenizer: Tokenizer | None,
    analysis: str | Mapping[str, str] | None,
    base: str,
    notebook: Notebook,
) -> list[tuple[str | None, Analyser]]:
    """Per document its language, where that matters, and its analyser."""
    if tokenizer is not None:
        return [(None, Analyser("own tokens", tokenizer))] * len(documents)
    if analysis in ("words", "subwords"):
        return [(None, analyser(None, analysis, base))] * len(documents)
    by_language = _by_language("stems" if analysis is None else analysis)
    found = _languages(documents, notebook)
    chosen = {
        language: analyser(language, by_language.get(language or "", "stems"), base)
        for language in dict.fromkeys(found)
    }
    return [(language, chosen[language]) for language in found]


def _by_language(analysis: str | Mapping[str, str]) -> dict[str, str]:
    """Normalised language -> analysis, where it is not stems."""
    if isinstance(analysis, str):
        if analysis != "stems":
            raise UsageError(f"unknown analysis '{analysis}'; use one of {', '.join(ANALYSES)}")
        return {}
    return {tags.normalise(language): name for language, name in analysis.items()}


def _languages(documents: Sequence[Document], notebook: Notebook) -> list[str | None]:
    """Each document's own language, or the one identified; None where that fails."""
    unknown = [document for document in documents if document.language is None]
    identified = tags.identify(document.full_text for document in unknown)
    found = {d.id: i.language for d, i in zip(unknown, identified, strict=True)}
    for language in found.values():
        if language:
            notebook.add("identified", f"language identified as '{language}'")
        else:
            notebook.add("unidentified", "no language could be identified: analysed as words")
    return [tags.normalise(d.language) if d.language else found[d.id] for d in documents]
