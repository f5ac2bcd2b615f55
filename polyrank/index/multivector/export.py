"""Write an index in the layout of fast-plaid, with PyLate's tables of ids beside it.

    OUTPUT/fast_plaid_index/                    what `fast_plaid.search.FastPlaid(index=…)` opens
    OUTPUT/documents_ids_to_plaid_ids.sqlite    with these `pylate.indexes.FastPlaid` opens
    OUTPUT/plaid_ids_to_documents_ids.sqlite    index_folder=<parent of OUTPUT>, index_name=<OUTPUT>
    OUTPUT/documents.jsonl                      the records, in the order of the numbers

Codes, residual bytes, centroids and buckets are the index's own, so a vector decodes to the same
numbers up to fast-plaid's fp16. Lost: the binding (nothing there checks the model), languages as a
filter (the records keep them), documents without text, and `avg_residual` and `cluster_threshold`,
which fast-plaid learns from held-out vectors, are taken from the decoded residuals.
"""

from __future__ import annotations

import json
import pickle
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.segment import Numbers, Segment
from polyrank.index.multivector.snapshot import Snapshot
from polyrank.kernels.codecs.residual import ResidualCodec

SAMPLE = 1 << 16  # tokens of a segment that its residuals' sizes are taken from


@dataclass(frozen=True)
class Exported:
    """What was written, and the documents without text that were left out."""

    documents: int
    tokens: int
    empty: int


def export_fast_plaid(snapshot: Snapshot, output: str | Path) -> Exported:
    """Write a residual index for fast-plaid and PyLate.

    Args:
        snapshot: of the index.
        output: a folder that does not exist.

    Raises:
        UsageError: an exact index, one without documents, or an output that exists.
    """
    output, codec = Path(output), snapshot.codebook.prepared
    if not isinstance(codec, ResidualCodec):
        raise UsageError(
            f"'{snapshot.folder}' stores {snapshot.manifest.codec}, and fast-plaid only knows "
            "residual codes.\nBuild the index with --codec residual-4 and export that."
        )
    if output.exists():
        raise UsageError(f"'{output}' already exists; choose another output folder")
    chosen = [(s, np.flatnonzero(s.alive & (s.lengths > 0))) for s in snapshot.segments]
    parts = [(segment, numbers) for segment, numbers in chosen if len(numbers)]
    if not parts:
        raise UsageError(f"'{snapshot.folder}' has no documents to export")
    with files.finished(output) as aside:
        plaid = aside / "fast_plaid_index"
        plaid.mkdir()
        totals = _chunks(plaid, parts)
        _write_codec(plaid, codec, parts)
        _write_lists(plaid, parts, len(codec.centroids))
        documents, tokens = totals
        record = {
            "num_chunks": len(parts),
            "nbits": codec.bits,
            "num_partitions": len(codec.centroids),
            "num_embeddings": tokens,
            "avg_doclen": tokens / documents,
            "num_documents": documents,
        }
        files.write_json(plaid / "metadata.json", record)
        plan = {"nbits": codec.bits, "num_chunks": len(parts)}
        files.write_json(plaid / "plan.json", plan)
        ids = [segment.ids[number] for segment, numbers in parts for number in numbers]
        _table(aside / "documents_ids_to_plaid_ids.sqlite", zip(ids, range(len(ids)), strict=True))
        _table(
            aside / "plaid_ids_to_documents_ids.sqlite",
            ((str(n), identity) for n, identity in enumerate(ids)),
        )
        lines = [line for segment, numbers in parts for line in segment.lines(numbers)]
        files.write(aside / "documents.jsonl", b"".join(lines))
    return Exported(documents, tokens, snapshot.manifest.live - documents)


Parts = Sequence[tuple[Segment, Numbers]]


def _chunks(folder: Path, parts: Parts) -> tuple[int, int]:
    """A chunk for each segment; how many documents and tokens there are."""
    documents = tokens = 0
    for chunk, (segment, numbers) in enumerate(parts):
        arrays, offsets = segment.take(numbers)
        codes = arrays["codes"].numpy().astype(np.int64)
        files.write_array(folder / f"{chunk}.codes.npy", codes)
        files.write_array(folder / f"{chunk}.residuals.npy", arrays["residuals"].numpy())
        (folder / f"doclens.{chunk}.json").write_text(json.dumps(offsets.diff().tolist()))
        record = {"num_documents": len(numbers), "num_embeddings": len(codes)}
        files.write_json(folder / f"{chunk}.metadata.json", {**record, "embedding_offset": tokens})
        documents, tokens = documents + len(numbers), tokens + len(codes)
    return documents, tokens


def _write_codec(folder: Path, codec: ResidualCodec, parts: Parts) -> None:
    residuals = torch.cat([_some_residuals(codec, *part) for part in parts])
    arrays: dict[str, Tensor] = {
        "centroids": codec.centroids.half(),
        "bucket_cutoffs": codec.cutoffs.half(),
        "bucket_weights": codec.weights.half(),
        "avg_residual": residuals.abs().mean(dim=0).half(),
        "cluster_threshold": residuals.norm(dim=1).quantile(0.75),
    }
    for name, tensor in arrays.items():
        files.write_array(folder / f"{name}.npy", np.asarray(tensor.numpy()))


def _some_residuals(codec: ResidualCodec, segment: Segment, numbers: Numbers) -> Tensor:
    arrays, _ = segment.take(numbers[: max(1, SAMPLE // 256)])
    return codec.unpack_weights(arrays["residuals"][:SAMPLE])


def _write_lists(folder: Path, parts: Parts, centroids: int) -> None:
    """The documents of each centroid, by their numbers in the export."""
    pairs, first = [], 0
    for segment, numbers in parts:
        arrays, offsets = segment.take(numbers, ["codes"])
        owners = np.repeat(np.arange(len(numbers)) + first, offsets.diff().numpy())
        pairs.append(np.unique(np.stack([arrays["codes"].numpy(), owners]), axis=1))
        first += len(numbers)
    codes, owners = np.concatenate(pairs, axis=1)
    order = np.lexsort((owners, codes))
    lengths = np.bincount(codes, minlength=centroids)
    files.write_array(folder / "ivf.npy", owners[order].astype(np.int64))
    files.write_array(folder / "ivf_lengths.npy", lengths.astype(np.int32))


def _table(path: Path, rows: Iterable[tuple[str, Any]]) -> None:
    """A table as `sqlitedict` keeps it: pickled values by key."""
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "unnamed" (key TEXT PRIMARY KEY, value BLOB)')
        connection.executemany(
            'INSERT INTO "unnamed" VALUES (?, ?)',
            ((key, pickle.dumps(value)) for key, value in rows),
        )
    connection.close()
