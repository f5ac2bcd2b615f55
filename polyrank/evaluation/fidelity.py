"""How faithful an index is: what its codec and its pruning lose against exact search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from polyrank.collections.records import Judgement, Query, Run, ScoredDocument
from polyrank.errors import UsageError
from polyrank.evaluation.measures import evaluate
from polyrank.index.multivector.index import MultiVectorIndex
from polyrank.index.multivector.query_batch import pad
from polyrank.index.multivector.search import Best, Pruning
from polyrank.index.multivector.segment import normalised
from polyrank.kernels import maxsim_packed
from polyrank.kernels.codecs import codec_of
from polyrank.kernels.codecs.codec import Queries
from polyrank.languages.tags import UNKNOWN
from polyrank.progress import bar

DOCUMENTS = 512  # encoded and scored at a time


@dataclass(frozen=True)
class GroupFidelity:
    """How faithful an index is to one group of queries, or of documents.

    Attributes:
        group: 'all', 'query ky' or 'document sw'.
        queries: that count here.
        recall: k → the share of the exact top k that the index's top k has; of a language of
            documents, the share of its documents in the exact top k.
        measure, difference: of the index with judgements, and its difference to exact search; None
            without judgements, or for a language of documents.
    """

    group: str
    queries: int
    recall: Mapping[int, float]
    measure: float | None = None
    difference: float | None = None


@dataclass(frozen=True)
class Fidelity:
    """What `fidelity` measured, group by group.

    Attributes:
        measure: its name, such as nDCG@10.
        reference: what the index was held against, in words.
    """

    rows: tuple[GroupFidelity, ...]
    measure: str
    reference: str

    def __str__(self) -> str:
        ks = list(self.rows[0].recall)
        head = ["group", "queries", *(f"recall@{k}" for k in ks)]
        judged = self.rows[0].measure is not None
        lines = ["\t".join([*head, *([self.measure, "difference"] if judged else [])])]
        for row in self.rows:
            cells = [row.group, str(row.queries), *(f"{row.recall[k]:.4f}" for k in ks)]
            if row.measure is not None and row.difference is not None:
                cells += [f"{row.measure:.4f}", f"{row.difference:+.4f}"]
            lines.append("\t".join(cells))
        return "\n".join([*lines, f"against {self.reference}"])


def fidelity(
    index: MultiVectorIndex,
    queries: Iterable[Query],
    judgements: Iterable[Judgement] = (),
    ks: Sequence[int] = (10, 100),
    pruning: Pruning | None = None,
    languages: Sequence[str] | None = None,
    measure: str = "nDCG@10",
    progress: bool = True,
) -> Fidelity:
    """Hold an index against exact search.

    The reference of an index in fp16 is its own vectors, all scored. Of a compressed one it is the
    model's vectors in fp32: all documents are encoded again, from their texts.

    Args:
        judgements: for `measure`; those of documents that the index lacks count as missed by both.
        ks: depths of recall.
        pruning: of the search that is measured; None scores all documents.
        languages: of documents that may be found.
        measure: a name of `ir_measures`.

    Raises:
        UsageError: no queries, or no depths; others as of `MultiVectorIndex.search`.
    """
    asked = list(queries)
    if not asked or not ks or min(ks) < 1:
        raise UsageError("fidelity needs queries, and depths of 1 or more")
    depth = max(ks)
    measured = index.search(asked, depth, languages, pruning)
    stored = codec_of(index.snapshot.manifest.codec).exact
    exact = (
        index.search(asked, depth, languages)
        if stored
        else encoded_again(index, asked, depth, languages, progress)
    )
    judged = [j for j in judgements if j.query_id in measured]
    values = _values(measured, exact, judged, measure) if judged else {}
    rows = [_by_query("all", asked, measured, exact, ks, values)]
    for language in sorted({query.language or UNKNOWN for query in asked}):
        in_language = [query for query in asked if (query.language or UNKNOWN) == language]
        rows.append(_by_query(f"query {language}", in_language, measured, exact, ks, values))
    rows += _by_document(index, measured, exact, ks)
    reference = "all vectors of the index" if stored else "all documents encoded again, in fp32"
    return Fidelity(tuple(rows), measure, reference)


def encoded_again(
    index: MultiVectorIndex,
    queries: Sequence[Query],
    depth: int,
    languages: Sequence[str] | None = None,
    progress: bool = True,
) -> Run:
    """Exact search over the living documents of an index, encoded anew and never compressed."""
    snapshot = index.snapshot
    best = Best(len(queries), depth, snapshot.rank)
    with bar("encoding documents", snapshot.manifest.live, progress) as drawn:
        for tags, query_vectors in index.encoded(queries, languages):
            batch = pad([v.cpu() for v in query_vectors])
            for first, segment in zip(snapshot.starts, snapshot.segments, strict=False):
                searched = np.flatnonzero(segment.kept(normalised(tags)))
                for start in range(0, len(searched), DOCUMENTS):
                    numbers = searched[start : start + DOCUMENTS]
                    vectors = index.encoder.encode_documents(segment.documents(numbers))
                    best.add(_maxsim(batch, vectors), numbers + first)
                    drawn.advance(len(numbers))
    return {
        query.id: [ScoredDocument(query.id, snapshot.ids[i], score) for i, score in hits]
        for query, hits in zip(queries, best.hits(), strict=True)
    }


def _maxsim(asked: Queries, documents: Sequence[Tensor]) -> Tensor:
    """Of every query with every document, (Q, D)."""
    count, length, dim = asked.vectors.shape
    return maxsim_packed(
        asked.vectors.reshape(-1, dim),
        torch.arange(count + 1) * length,
        torch.cat(list(documents)).cpu().float(),
        torch.tensor([0, *(len(v) for v in documents)]).cumsum(0),
        asked.mask.reshape(-1),
    )


Values = Mapping[str, tuple[float, float]]  # query → the index's value and the exact one


def _values(measured: Run, exact: Run, judged: Sequence[Judgement], measure: str) -> Values:
    reports = [evaluate(run, judged, measure).per_query[measure] for run in (measured, exact)]
    return {query_id: (reports[0][query_id], reports[1][query_id]) for query_id in reports[0]}


def _top(run: Run, query_id: str, k: int) -> set[str]:
    return {hit.document_id for hit in run[query_id][:k]}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _by_query(
    group: str,
    queries: Sequence[Query],
    measured: Run,
    exact: Run,
    ks: Sequence[int],
    values: Values,
) -> GroupFidelity:
    recall = {}
    for k in ks:
        tops = [(_top(measured, query.id, k), _top(exact, query.id, k)) for query in queries]
        recall[k] = fmean(_share(len(ours & theirs), len(theirs)) for ours, theirs in tops)
    pairs = [values[query.id] for query in queries if query.id in values]
    if not pairs:
        return GroupFidelity(group, len(queries), recall)
    ours, theirs = (fmean(column) for column in zip(*pairs, strict=True))
    return GroupFidelity(group, len(queries), recall, ours, ours - theirs)


def _by_document(
    index: MultiVectorIndex, measured: Run, exact: Run, ks: Sequence[int]
) -> list[GroupFidelity]:
    snapshot = index.snapshot
    tags = np.concatenate([segment.languages for segment in snapshot.segments])
    language = {identity: tags[i] for identity, i in snapshot.ordinals.items()}
    rows = []
    for tag in sorted(snapshot.counts):
        recall, queries = {}, 0
        for k in ks:
            wanted = {q: {i for i in _top(exact, q, k) if language[i] == tag} for q in exact}
            kept = sum(len(ids & _top(measured, q, k)) for q, ids in wanted.items())
            recall[k] = _share(kept, sum(map(len, wanted.values())))
            queries = sum(1 for ids in wanted.values() if ids)
        if queries:
            rows.append(GroupFidelity(f"document {tag}", queries, recall))
    return rows
