"""The export: read as fast-plaid reads it, it decodes to the vectors of the index."""

import json
import pickle
import sqlite3

import numpy as np
import pytest
import torch

from polyrank.collections.records import Document
from polyrank.errors import UsageError
from polyrank.index.multivector import MultiVectorIndex, Plan, build
from polyrank.index.multivector.export import export_fast_plaid


@pytest.fixture
def index(tmp_path, documents, encoder):
    texts = [*documents, Document("empty", "", language="en")]
    build(tmp_path / "index", texts, encoder, Plan("residual-2", 8, shard=15))
    index = MultiVectorIndex(tmp_path / "index", encoder)
    index.delete(["d00", "d21"])
    return index


def decode(folder):
    """fast-plaid's rule, from its source: the bits of a byte from the most significant down, each
    value's bits from the least significant up; then the bucket's weight on top of the centroid."""
    meta = json.loads((folder / "metadata.json").read_text())
    load = lambda name: np.load(folder / f"{name}.npy")  # noqa: E731
    weights, centroids = load("bucket_weights").astype(float), load("centroids").astype(float)
    documents = []
    for chunk in range(meta["num_chunks"]):
        lengths = json.loads((folder / f"doclens.{chunk}.json").read_text())
        bits = np.unpackbits(load(f"{chunk}.residuals"), axis=1)
        bits = bits.reshape(len(bits), -1, meta["nbits"])
        values = (bits * 2 ** np.arange(meta["nbits"])).sum(axis=2)
        vectors = centroids[load(f"{chunk}.codes")] + weights[values]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        documents += np.split(vectors, np.cumsum(lengths)[:-1])
    return meta, documents


def test_what_was_written_decodes_to_the_index(index, tmp_path):
    done = export_fast_plaid(index.snapshot, tmp_path / "out")
    meta, documents = decode(tmp_path / "out" / "fast_plaid_index")
    assert (done.documents, done.empty) == (38, 1) == (meta["num_documents"], done.empty)
    rows = sqlite3.connect(tmp_path / "out" / "plaid_ids_to_documents_ids.sqlite").execute(
        'SELECT key, value FROM "unnamed"'
    )
    ids = {int(key): pickle.loads(value) for key, value in rows}
    assert len(ids) == 38 and not {"d00", "d21", "empty"} & set(ids.values())
    for segment in index.snapshot.segments:
        for number, identity in enumerate(segment.ids):
            if segment.alive[number] and segment.lengths[number]:
                vectors, _ = segment.vectors(np.array([number]))
                place = next(n for n, name in ids.items() if name == identity)
                exported = torch.from_numpy(documents[place]).float()
                torch.testing.assert_close(exported, vectors, atol=1e-3, rtol=0)


def test_the_lists_name_the_documents_of_each_centroid(index, tmp_path):
    export_fast_plaid(index.snapshot, tmp_path / "out")
    folder = tmp_path / "out" / "fast_plaid_index"
    meta = json.loads((folder / "metadata.json").read_text())
    lengths, documents = np.load(folder / "ivf_lengths.npy"), np.load(folder / "ivf.npy")
    lists = np.split(documents, np.cumsum(lengths)[:-1])
    expected, first = [set() for _ in lists], 0
    for chunk in range(meta["num_chunks"]):
        codes = iter(np.load(folder / f"{chunk}.codes.npy"))
        for length in json.loads((folder / f"doclens.{chunk}.json").read_text()):
            for _ in range(length):
                expected[next(codes)].add(first)
            first += 1
    assert [sorted(found) for found in expected] == [found.tolist() for found in lists]


def test_what_cannot_be_exported(index, tmp_path, documents, encoder):
    build(tmp_path / "exact", documents, encoder)
    with pytest.raises(UsageError, match="only knows residual codes"):
        export_fast_plaid(MultiVectorIndex(tmp_path / "exact").snapshot, tmp_path / "out")
    export_fast_plaid(index.snapshot, tmp_path / "out")
    with pytest.raises(UsageError, match="already exists"):
        export_fast_plaid(index.snapshot, tmp_path / "out")
