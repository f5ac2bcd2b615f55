"""A codec is one file and one row: sign bits, scored without a kernel of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.index.multivector import MultiVectorIndex, Plan, Pruning, add, build, compact, delete
from polyrank.index.multivector.index import verify
from polyrank.kernels import codecs
from polyrank.kernels.codecs import CODECS, codec_of

from .conftest import DIM, WordEncoder

FILE = """
import numpy as np
import torch

from polyrank.kernels.codecs.codec import Codec


def encode(vectors, codebook):
    return {"signs": torch.from_numpy(np.packbits(vectors.numpy() > 0, axis=1))}


def decode(arrays, codebook):
    bits = np.unpackbits(arrays["signs"].numpy(), axis=1)
    return torch.from_numpy(bits).float() * 2 - 1


SIGN = Codec("sign", ("signs",), lambda width: width // 8, encode, decode)
"""

TEXTS = ["boil water", "river stone", "night bird iron", "salt cold", "", "long white old"]


@pytest.fixture
def sign(tmp_path, monkeypatch):
    (tmp_path / "sign_codec.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(CODECS, "sign", "sign_codec:SIGN")
    return codec_of("sign")


def documents(first, texts):
    return [Document(f"d{first + n}", text, language="en") for n, text in enumerate(texts)]


def expected(encoder, held, query):
    """MaxSim with the signs of each document's vectors, best first."""
    (asked,) = encoder.encode_queries([query])
    scores = {}
    for document in held:
        if document.full_text:
            (vectors,) = encoder.encode_documents([document])
            signs = torch.where(vectors.half() > 0, 1.0, -1.0)
            scores[document.id] = float((asked @ signs.T).amax(dim=1).sum())
    return scores


@pytest.mark.parametrize("centroids", [None, 4])
def test_a_toy_codec_builds_searches_and_changes(sign, encoder, tmp_path, centroids):
    folder, query = tmp_path / "index", Query("q", "cold water", "en")
    held = documents(0, TEXTS)
    build(folder, held, encoder, Plan("sign", centroids, shard=4), progress=False)

    def check(present):
        index = MultiVectorIndex(folder, encoder)
        pruning = None if centroids is None else Pruning(4, 10)
        for chosen in {None, pruning}:
            (hits,) = index.search([query], 10, pruning=chosen).values()
            scores = expected(WordEncoder(), present, query)
            assert {hit.document_id: hit.score for hit in hits} == pytest.approx(scores, abs=1e-5)
        assert verify(folder).problems == [] and index.info().codec == "sign"

    check(held)
    new = documents(10, ["white bird", "iron river"])
    add(folder, new, encoder, progress=False)
    check([*held, *new])
    delete(folder, ["d1"])
    check([d for d in [*held, *new] if d.id != "d1"])
    compact(folder, progress=False)
    check([d for d in [*held, *new] if d.id != "d1"])
    signs = [np.load(path) for path in (folder / "segments").glob("*/signs.npy")]
    assert sum(map(len, signs)) > 0 and {s.shape[1] for s in signs} == {sign.token_bytes(DIM)}


def test_blocks_of_documents_score_as_all_at_once(sign, monkeypatch):
    monkeypatch.setattr(codecs.codec, "DECODED", 3)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(20, DIM, generator=generator)
    offsets = torch.tensor([0, 2, 2, 9, 10, 20])
    queries = codecs.codec.Queries(
        torch.randn(2, 3, DIM, generator=generator),
        torch.tensor([[True, True, True], [True, False, False]]),
    )
    scores = sign.scores(queries, sign.encode(vectors, None), offsets, None)
    for q in range(2):
        for d in range(5):
            signs = torch.where(vectors[offsets[d] : offsets[d + 1]] > 0, 1.0, -1.0)
            live = queries.vectors[q][queries.mask[q]]
            best = (live @ signs.T).amax(dim=1).sum() if len(signs) else torch.tensor(-torch.inf)
            assert scores[q, d].item() == pytest.approx(best.item(), abs=1e-5)


@pytest.mark.parametrize("name", [name for name in CODECS if name != "sign"])
def test_every_codec_says_how_many_bytes_a_token_takes(name, encoder, tmp_path):
    build(tmp_path / "i", documents(0, TEXTS), encoder, Plan(name, None), progress=False)
    (segment,) = MultiVectorIndex(tmp_path / "i", encoder).snapshot.segments
    stored = sum(segment.arrays[array][:1].nbytes for array in segment.codec.arrays)
    assert stored == codec_of(name).token_bytes(DIM) and codec_of(name).name == name
