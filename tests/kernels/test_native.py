"""The compiled kernel: that it is there, that its bits depend on nothing, and its own corners.

That it is right is tested where the other paths are: in test_maxsim and test_compressed_scoring.
"""

import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from polyrank import kernels
from polyrank.errors import UsageError
from polyrank.kernels import reference
from polyrank.kernels.codecs.int8 import Int8Documents, encode_int8, maxsim_int8
from polyrank.kernels.codecs.kmeans import nearest
from polyrank.kernels.codecs.residual import fit_codec
from polyrank.kernels.codecs.residual_scoring import maxsim_residual, pack_documents
from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.cpu import native, pieces, stored

COMPILED = pytest.mark.skipif(native.level() == 0, reason="no compiled kernel on this machine")
GCC = platform.machine() == "x86_64" and platform.system() == "Linux" and shutil.which("gcc")


@pytest.mark.skipif(not GCC, reason="no compiler that builds it")
def test_it_is_built_where_there_is_a_compiler():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        able = " avx2 " in lines.read()
    assert (native.level() > 0) == able


def test_it_can_be_switched_off():
    code = "from polyrank.kernels.cpu import native; print(native.level())"
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


# What stands behind the addresses that the kernel is given.


def some_case():
    generator = torch.Generator().manual_seed(3)
    queries = torch.randn(2, 5, 16, generator=generator)
    return queries, torch.randn(6, 9, 16, generator=generator)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_default_type_and_device_change_nothing(dtype, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 30)
    queries, documents = some_case()
    ends, query_ends = torch.tensor([0, 3, 9, 30, 54]), torch.tensor([0, 10])
    packed = queries.flatten(0, 1), query_ends, documents.flatten(0, 1), ends
    expected = kernels.maxsim(queries, documents), kernels.maxsim_packed(*packed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            scores = kernels.maxsim(queries, documents), kernels.maxsim_packed(*packed)
    finally:
        torch.set_default_dtype(before)
    for found, wanted in zip(scores, expected, strict=True):
        assert found.dtype == torch.float32 and torch.equal(found, wanted)


@COMPILED
def test_what_is_no_plain_memory_goes_another_way():
    queries, documents = some_case()
    assert native.takes(queries, documents)
    negated = torch._neg_view(documents.clone())
    scores = kernels.maxsim(queries, negated)
    torch.testing.assert_close(scores, reference.maxsim(queries, -documents))
    zero = kernels.maxsim(torch._efficientzerotensor(2, 5, 16), documents)
    assert not zero.any()
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(tensor) for tensor in (queries, documents)]
        assert not native.takes(*fake)

    class Own(torch.Tensor):
        pass

    assert not native.takes(queries.as_subclass(Own), documents)
    recorded = make_fx(lambda q, d: kernels.maxsim(q, d))(queries, documents)
    torch.testing.assert_close(recorded(queries, -documents), scores)


@COMPILED
def test_scales_norms_and_codes_of_other_types_and_strides(score_by):
    queries, _, documents, ends = ragged()
    queries, packed = queries.view(6, 15, -1), encode_int8(documents, ends)
    codec = fit_codec(documents, 2, clusters=10)
    coded = pack_documents(codec, *codec.encode(documents), ends)
    apart = torch.stack([packed.scales, packed.scales + 1], dim=1)[:, 0]
    cases = [
        replace(packed, scales=packed.scales.bfloat16()),
        replace(packed, scales=packed.scales.double()),
        replace(packed, scales=apart),
        replace(packed, scales=torch.tensor(0.01).expand(len(documents))),
        replace(coded, codes=coded.codes.long()),
        replace(coded, inverse_norms=coded.inverse_norms.bfloat16()),
        replace(coded, codec=replace(codec, centroids=codec.centroids.bfloat16())),
        replace(coded, codec=replace(codec, centroids=codec.centroids.double())),
    ]
    compiled = [kernels_score(queries, case) for case in cases]
    score_by("torch")
    for scores, case in zip(compiled, cases, strict=True):
        torch.testing.assert_close(scores, kernels_score(queries, case), rtol=1e-5, atol=1e-4)


def kernels_score(queries, documents):
    score = maxsim_int8 if isinstance(documents, Int8Documents) else maxsim_residual
    return score(queries, documents)


@COMPILED
def test_what_does_not_fit_is_refused_before_it_is_read():
    queries, _, documents, ends = ragged()
    queries, packed = queries.view(6, 15, -1), encode_int8(documents, ends)
    with pytest.raises(UsageError, match="scales"):
        maxsim_int8(queries, replace(packed, scales=packed.scales[:-1]))
    mask = torch.ones(len(documents), dtype=torch.bool, device="meta")
    with pytest.raises(UsageError, match="mask"):
        maxsim_int8(queries, packed, None, mask)
    flat, rows = queries.flatten(0, 1), stored.vectors(documents)
    problem = Problem(Layout(6, 15), Layout(len(ends) - 1, 0, ends), columns=1)
    with pytest.raises(UsageError, match="dimensions"):
        native.forward(flat[:, :-1], rows, problem)
    with pytest.raises(UsageError, match="not among the 40"):
        native.forward(flat, rows, problem, picked=torch.tensor([40]))
    with pytest.raises(UsageError, match="do not lie within"):
        native.forward(flat, stored.vectors(documents[:-1]), problem)
    codec = fit_codec(torch.eye(8).repeat(4, 1), 4, clusters=4)
    with pytest.raises(UsageError, match="read both from one index"):
        parts = torch.zeros(3, 5, dtype=torch.uint8), torch.zeros(3), torch.ones(3)
        stored.residuals(*parts, *codec.tables())


@COMPILED
@pytest.mark.parametrize("content", [b"", b"\x7fELF cut short"])
def test_a_damaged_library_is_not_used(content, tmp_path, monkeypatch):
    (tmp_path / "lib.so").write_bytes(content)
    monkeypatch.setattr(
        native, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "lib.so"))
    )
    native._library.cache_clear()
    with pytest.warns(UserWarning, match="or damaged"):
        assert native._library() is None
    native._library.cache_clear()


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
        rows = stored.vectors(documents.half())
    elif kind == "int8":
        packed = encode_int8(documents, ends)
        rows = stored.int8(packed.values, packed.scales)
    else:
        codec = fit_codec(documents, 2, clusters=10)
        packed = pack_documents(codec, *codec.encode(documents), ends)
        parts = packed.residuals, packed.codes, packed.inverse_norms
        rows = stored.residuals(*parts, *codec.tables())
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
    table[1, 0] = torch.nan
    scores = native.by_table(table, codes, ends, torch.tensor([0, 1]))
    assert scores.isnan().tolist() == [True, False]


@COMPILED
def test_codes_beyond_the_centroids_are_refused():
    """They would be read from wherever they point to."""
    codec = fit_codec(torch.eye(8).repeat(4, 1), 4, clusters=4)
    codes, ends = torch.tensor([0, 1, 9], dtype=torch.int32), torch.tensor([0, 3])
    coded = torch.zeros(3, 4, dtype=torch.uint8)
    rows = stored.residuals(coded, codes, torch.ones(3), *codec.tables())
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
