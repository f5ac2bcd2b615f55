"""The compiled kernel: that it is there, that its bits depend on nothing, and its own corners.

That it is right is tested where the other paths are: in test_maxsim and test_compressed_scoring.
"""

import platform
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from polyrank import kernels
from polyrank.errors import UsageError
from polyrank.kernels import native, pieces, reference
from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.int8 import encode_int8
from polyrank.kernels.kmeans import nearest
from polyrank.kernels.residual import fit_codec
from polyrank.kernels.residual_scoring import pack_documents, residual_rows

COMPILED = pytest.mark.skipif(native.level() == 0, reason="no compiled kernel on this machine")
GCC = platform.machine() == "x86_64" and platform.system() == "Linux" and shutil.which("gcc")


@pytest.mark.skipif(not GCC, reason="no compiler that builds it")
def test_it_is_built_where_there_is_a_compiler():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        able = " avx2 " in lines.read()
    assert (native.level() > 0) == able


def test_it_can_be_switched_off():
    code = "from polyrank.kernels import native; print(native.level())"
    environment = {"POLYRANK_NATIVE": "0", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stdout == b"0\n", done.stderr


@COMPILED
def test_a_library_of_another_version_is_not_used(monkeypatch):
    native._library.cache_clear()
    monkeypatch.setattr(native, "VERSION", -1)
    with pytest.warns(UserWarning, match="Install polyrank again"):
        assert native._library() is None
    native._library.cache_clear()


def ragged(count=40, longest=37, width=20):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, longest, (count,), generator=generator)
    ends = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    documents = F.normalize(torch.randn(int(ends[-1]), width, generator=generator), dim=-1)
    queries = F.normalize(torch.randn(90, width, generator=generator), dim=-1)
    return queries, torch.tensor([0, 7, 7, 58, 90]), documents, ends


@COMPILED
def test_bits_depend_on_neither_instructions_nor_pieces(monkeypatch, score_by):
    queries, query_ends, documents, ends = ragged()
    found = []
    for path, query_rows, piece in [("avx2", 512, 1 << 22), ("avx512", 512, 1), ("avx2", 30, 500)]:
        score_by(path)
        monkeypatch.setattr(pieces, "QUERY_ROWS", query_rows)
        monkeypatch.setattr(pieces, "PIECE", piece)
        scores = kernels.maxsim_packed(queries, query_ends, documents, ends)
        alone = [
            kernels.maxsim_packed(queries, query_ends, documents, ends[i : i + 2])
            for i in range(len(ends) - 1)
        ]
        found += [scores, torch.cat(alone, dim=1)]
    assert all(torch.equal(scores, found[0]) for scores in found)
    exact = reference.maxsim_packed(queries.double(), query_ends, documents.double(), ends)
    torch.testing.assert_close(found[0].double(), exact, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("wanted", [1, 3, 50])
@pytest.mark.parametrize("queries", [1, 2, 40])
def test_pieces_cover_every_score_once(queries, wanted, own, monkeypatch):
    monkeypatch.setattr(pieces, "QUERY_ROWS", 50)
    lengths = torch.arange(17 * (queries if own else 1)) % 5
    ends = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    problem = Problem(Layout(queries, 6), Layout(len(lengths), 2, ends), columns=17, own=own)
    covered = torch.zeros(queries, 17, dtype=torch.int64)
    found = list(pieces.pieces(problem, None if own else ends, queries * 6, wanted))
    for first, last, start, stop in found:
        covered[first:last, start:stop] += 1
    assert (covered == 1).all() and len(found) >= min(wanted, 10)


@COMPILED
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 7, 8, 24, 31])
def test_types_are_widened_exactly(dtype, width):
    generator = torch.Generator().manual_seed(0)
    documents = torch.randn(3, 5, width, generator=generator).to(dtype)
    documents[0, 0, 0] = 1e-7 if dtype == torch.float16 else 1e-40  # subnormal
    queries = torch.zeros(width, width, 1).squeeze(-1)
    queries.fill_diagonal_(1.0)  # each query token reads one dimension
    scores = kernels.maxsim(queries[:, None], documents)
    assert torch.equal(scores, documents.float().amax(dim=1).T)


@COMPILED
def test_a_live_nan_is_seen_in_the_score():
    """The contract leaves it open; a broken model must not look like a bad match."""
    documents = torch.ones(2, 20, 3)
    documents[0, 4, 1] = torch.nan
    scores = kernels.maxsim(torch.ones(1, 5, 3), documents)
    assert scores[0].isnan().tolist() == [True, False]


@COMPILED
def test_more_empty_documents_than_a_tile_has_rows():
    ends = torch.tensor([0, *[0] * 30, 1, *[1] * 30, 3])
    scores = kernels.maxsim_packed(torch.ones(2, 3), torch.tensor([0, 2]), torch.ones(3, 3), ends)
    filled = [30, 61]
    assert scores[0, filled].tolist() == [6.0, 6.0]
    assert (scores[0].isinf().nonzero().squeeze(1).tolist()) == [
        i for i in range(62) if i not in filled
    ]


def picked_by_hand(queries, rows, picked, ends):
    """Scores (Q, N) of documents of `ends` in any order, each alone."""
    problem = Problem(Layout(len(queries), queries.shape[1]), Layout(1, 0, ends[:2]), columns=1)
    flat, alone = queries.flatten(0, 1), []
    for number in picked.tolist():
        layout = Layout(1, 0, ends[number : number + 2])
        alone.append(native.forward(flat, rows, replace(problem, documents=layout))[0])
    return torch.cat(alone, dim=1)


@COMPILED
@pytest.mark.parametrize("kind", ["fp16", "int8", "residual"])
def test_picked_documents_score_as_they_do_alone(kind):
    queries, _, documents, ends = ragged()
    picked = torch.tensor([39, 0, 7, 7, 21, *range(3, 30)])
    if kind == "fp16":
        rows = native.Rows(documents.half())
    elif kind == "int8":
        packed = encode_int8(documents, ends)
        rows = native.Rows(packed.values, packed.scales)
    else:
        codec = fit_codec(documents, 2, clusters=10)
        norms = pack_documents(codec, *codec.encode(documents), ends).inverse_norms
        rows = residual_rows(codec, *codec.encode(documents), norms)
    queries = queries.view(6, 15, -1)
    problem = Problem(Layout(6, 15), Layout(len(ends) - 1, 0, ends), columns=len(picked))
    scores, _ = native.forward(queries.flatten(0, 1), rows, problem, picked=picked)
    assert torch.equal(scores, picked_by_hand(queries, rows, picked, ends))


@COMPILED
def test_scores_by_a_table_by_hand():
    table = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-3.0, 0.0]])  # of three centroids
    codes = torch.tensor([0, 1, 2, 2, 0], dtype=torch.int32)
    ends = torch.tensor([0, 2, 3, 3, 5])
    scores = native.by_table(table, codes, ends, torch.tensor([3, 0, 1, 2]))
    assert scores.tolist() == [1.0, 3.0, -3.0, -torch.inf]


@COMPILED
def test_codes_beyond_the_centroids_are_refused():
    """They would be read from wherever they point to."""
    codec = fit_codec(torch.eye(8).repeat(4, 1), 4, clusters=4)
    codes, ends = torch.tensor([0, 1, 9], dtype=torch.int32), torch.tensor([0, 3])
    rows = residual_rows(codec, codes, torch.zeros(3, 4, dtype=torch.uint8), torch.ones(3))
    problem = Problem(Layout(1, 1), Layout(1, 3, ends), columns=1)
    with pytest.raises(UsageError, match="beyond the centroids"):
        native.forward(torch.ones(1, 8), rows, problem)
    codes[2] = -1
    with pytest.raises(UsageError, match="beyond the centroids"):
        native.by_table(torch.ones(4, 1), codes, ends, torch.tensor([0]))


@COMPILED
def test_nearest_centroids_are_those_of_the_other_path(score_by):
    generator = torch.Generator().manual_seed(0)
    vectors, centroids = (torch.randn(n, 16, generator=generator) for n in (700, 45))
    compiled = nearest(vectors, centroids)
    score_by("torch")
    plain = nearest(vectors, centroids)
    assert torch.equal(compiled[0], plain[0])
    torch.testing.assert_close(compiled[1], plain[1], rtol=1e-5, atol=1e-5)
