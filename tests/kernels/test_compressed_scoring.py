"""Scoring compressed documents is MaxSim over the decoded ones, on every path."""

import pytest
import torch
import torch.nn.functional as F

from polyrank.errors import UsageError
from polyrank.kernels import reference
from polyrank.kernels.codecs import compressed
from polyrank.kernels.codecs.int8 import Int8Documents, encode_int8, maxsim_int8
from polyrank.kernels.codecs.residual import ResidualCodec, fit_codec
from polyrank.kernels.codecs.residual_scoring import maxsim_residual, pack_documents
from polyrank.kernels.cpu import scan

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LENGTHS = [0, 1, 70, 64, 3, 0, 129]


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def offsets(lengths):
    return torch.tensor([0, *lengths]).cumsum(0)


def residual_documents(bits, width, lengths=LENGTHS, clusters=40, **options):
    vectors = unit(600, width)
    codec = fit_codec(vectors, bits, clusters=clusters)
    codes, residuals = codec.encode(vectors[: sum(lengths)])
    return pack_documents(codec, codes, residuals, offsets(lengths), **options)


def int8_documents(width, lengths=LENGTHS, dtype=torch.float32):
    return encode_int8(unit(600, width)[: sum(lengths)], offsets(lengths), dtype)


def expected(queries, documents, query_mask=None, document_mask=None):
    count, length, _ = queries.shape
    return reference.maxsim_packed(
        queries.flatten(0, 1),
        torch.arange(count + 1) * length,
        documents.decode(),
        documents.offsets,
        None if query_mask is None else query_mask.flatten(),
        document_mask,
    )


def cpu_path(queries, documents, query_mask=None, document_mask=None):
    score = maxsim_int8 if isinstance(documents, Int8Documents) else maxsim_residual
    return score(queries, documents, query_mask, document_mask)


def triton_path(queries, documents, query_mask=None, document_mask=None):
    pytest.importorskip("triton")
    if isinstance(documents, Int8Documents):
        from polyrank.kernels.triton.int8_kernel import score
    else:
        from polyrank.kernels.triton.residual_kernel import score
    mask = None if document_mask is None else document_mask.to(DEVICE)
    queries = compressed.live(queries, query_mask).to(DEVICE)
    return score(queries, documents.to(DEVICE), mask).cpu()


@pytest.fixture(params=["torch", "avx2", "avx512", "triton"])
def path(request, score_by):
    if request.param == "triton":
        return triton_path
    score_by(request.param)
    return cpu_path


CASES = [  # bits (None: int8), width, query tokens, queries
    (1, 128, 32, 3),
    (1, 64, 1, 1),
    (2, 128, 7, 5),
    (2, 48, 33, 2),
    (4, 96, 20, 9),
    (8, 32, 3, 2),
    (2, 32, 200, 2),  # a query of two tiles
    (None, 128, 32, 3),
    (None, 96, 5, 1),
    (None, 48, 200, 2),
]


def case(bits, width):
    return int8_documents(width) if bits is None else residual_documents(bits, width)


@pytest.mark.parametrize(("bits", "width", "length", "count"), CASES)
def test_scores_are_those_of_the_decoded_vectors(path, bits, width, length, count):
    documents, queries = case(bits, width), unit(count, length, width, seed=1)
    scores = path(queries, documents)
    assert scores.dtype == torch.float32 and scores[:, 0].tolist() == [-torch.inf] * count
    torch.testing.assert_close(scores, expected(queries, documents), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("bits", [2, None])
def test_masks_with_holes(path, bits):
    documents, queries = case(bits, 64), unit(3, 20, 64, seed=1)
    generator = torch.Generator().manual_seed(2)
    query_mask = torch.rand(3, 20, generator=generator) > 0.4
    query_mask[1] = False  # a query of nothing scores 0
    document_mask = torch.rand(sum(LENGTHS), generator=generator) > 0.4
    document_mask[1:71] = False  # the third document, all of it
    queries[~query_mask] = torch.nan  # what a masked row holds is never read
    scores = path(queries, documents, query_mask, document_mask)
    assert scores[:, 2].tolist() == [-torch.inf] * 3 and scores[1, 3] == 0.0
    queries = queries.nan_to_num()
    same = expected(queries, documents, query_mask, document_mask)
    torch.testing.assert_close(scores, same, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, None])
@pytest.mark.parametrize(("dtype", "length"), [(torch.float16, 150), (torch.bfloat16, 32)])
def test_half_precision_queries_lose_no_more_than_their_rounding(path, bits, dtype, length):
    documents, queries = case(bits, 128), unit(2, length, 128, seed=1)
    rounded = queries.to(dtype)
    scores = path(rounded, documents)
    near = expected(rounded.float(), documents)
    torch.testing.assert_close(scores, near, rtol=0.0, atol=length * 1e-4)


@pytest.mark.parametrize("bits", [2, None])
def test_blocks_change_nothing(monkeypatch, bits, score_by):
    score_by("torch")
    documents, queries = case(bits, 64), unit(5, 8, 64, seed=1)
    whole = cpu_path(queries, documents)
    monkeypatch.setattr(scan, "COPIED_ROWS", 10)
    monkeypatch.setattr(compressed, "COLUMNS", 8)
    torch.testing.assert_close(cpu_path(queries, documents), whole, rtol=1e-6, atol=1e-6)


def test_a_small_table_takes_several_passes(monkeypatch):
    pytest.importorskip("triton")
    from polyrank.kernels.triton import residual_kernel

    documents, queries = residual_documents(2, 64), unit(5, 8, 64, seed=1)
    monkeypatch.setattr(residual_kernel, "TABLE", 40 * 8 * 2)
    same = expected(queries, documents)
    torch.testing.assert_close(triton_path(queries, documents), same, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("bits", [4, None])
@pytest.mark.parametrize("each", [3, 100])
def test_a_triton_program_may_score_several_documents(monkeypatch, bits, each):
    pytest.importorskip("triton")
    from polyrank.kernels.triton import int8_kernel, residual_kernel

    documents, queries = case(bits, 64), unit(6, 32, 64, seed=1).half()
    same = triton_path(queries, documents)
    for module in (int8_kernel, residual_kernel):
        monkeypatch.setattr(module, "documents_each", lambda *_, **__: each)
    assert torch.equal(triton_path(queries, documents), same)


@pytest.mark.parametrize("bits", [1, 2, 4, None])
@pytest.mark.parametrize("count", [1, 9])
def test_bytes_widened_by_instructions_of_nvidia(monkeypatch, run_ptx, bits, count):
    """What they do is taken from their manual."""
    from polyrank.kernels.triton import int8_kernel, residual_kernel

    documents, queries = case(bits, 96), unit(count, 20, 96, seed=1).half()
    without = triton_path(queries, documents)
    for module in (int8_kernel, residual_kernel):
        monkeypatch.setattr(module, "takes_ptx", lambda tiled: True)
    torch.testing.assert_close(triton_path(queries, documents), without, rtol=1e-6, atol=1e-5)
    assert run_ptx.done


@pytest.mark.parametrize("bits", [2, None])
@pytest.mark.parametrize("lengths", [[], [0, 0], [5, 5, 5]])
def test_few_documents(path, bits, lengths):
    documents = (
        int8_documents(32, lengths) if bits is None else residual_documents(bits, 32, lengths)
    )
    queries = unit(2, 3, 32, seed=1)
    scores = path(queries, documents)
    assert scores.shape == (2, len(lengths))
    if sum(lengths):
        torch.testing.assert_close(scores, expected(queries, documents), rtol=1e-6, atol=1e-5)
    else:
        assert (scores == -torch.inf).all()


@pytest.mark.parametrize("bits", [2, None])
def test_no_query(path, bits):
    assert path(torch.empty(0, 5, 64), case(bits, 64)).shape == (0, len(LENGTHS))


def test_a_score_by_hand():
    """One query token, one document of two tokens, 1 bit of ±½ over 8 dimensions."""
    centroids = torch.zeros(2, 8)
    centroids[0, 0] = centroids[1, 1] = 1.0
    codec = ResidualCodec(centroids, torch.tensor([0.0]), torch.tensor([-0.5, 0.5]))
    documents = pack_documents(
        codec,
        torch.tensor([0, 1]),
        torch.tensor([[0b11111111], [0b00000000]], dtype=torch.uint8),
        torch.tensor([0, 2]),
    )
    query = torch.zeros(1, 1, 8)
    query[0, 0, 0] = 1.0
    # Token 0: (1.5, .5, .5, ...), of length 2, so 0.75. Token 1: (-.5, .5, -.5, ...): -½ / √2.
    torch.testing.assert_close(maxsim_residual(query, documents), torch.tensor([[0.75]]))
    only_second = torch.tensor([False, True])
    scores = maxsim_residual(query, documents, document_mask=only_second)
    torch.testing.assert_close(scores, torch.tensor([[-0.5 / 2**0.5]]))


def test_selected_documents_score_as_before():
    documents, queries = residual_documents(2, 64), unit(3, 8, 64, seed=1)
    chosen = torch.tensor([6, 0, 3, 3])
    whole = maxsim_residual(queries, documents)
    picked = documents.select(chosen)
    assert len(picked) == 4
    torch.testing.assert_close(maxsim_residual(queries, picked), whole[:, chosen])


def test_fp16_norms_are_near():
    queries = unit(3, 8, 64, seed=1)
    exact, half = (
        maxsim_residual(queries, residual_documents(2, 64, norm_dtype=dtype))
        for dtype in (torch.float32, torch.float16)
    )
    torch.testing.assert_close(half, exact, rtol=2**-11, atol=1e-6)


def test_bytes_per_token():
    tokens, ends = sum(LENGTHS), 8 * (len(LENGTHS) + 1)
    two_bits = residual_documents(2, 128, norm_dtype=torch.float16)
    assert two_bits.nbytes == tokens * (32 + 4 + 2) + ends
    assert int8_documents(128).nbytes == tokens * 132 + ends
    assert int8_documents(128, dtype=torch.float16).nbytes == tokens * 130 + ends


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_int8_is_off_by_half_a_scale_at_most(dtype):
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(300, 64, generator=generator) * torch.logspace(-6, 3, 300)[:, None]
    vectors[7] = 0.0
    documents = encode_int8(vectors, torch.tensor([0, 300]), dtype)
    error = (documents.decode() - vectors).abs()
    bound = documents.scales.float()[:, None] / 2
    assert (error <= bound * (1 + 1e-5)).all() and (error[7] == 0).all()
    assert (error.amax(dim=1) > bound[:, 0] * 0.5)[50:].all()  # the bound is not a loose one


def test_int8_by_hand():
    documents = encode_int8(torch.tensor([[1.27, -0.5, 0.004, 0.006]]), torch.tensor([0, 1]))
    torch.testing.assert_close(documents.scales, torch.tensor([0.01]))
    assert documents.values.tolist() == [[127, -50, 0, 1]]


def test_refusals():
    documents = residual_documents(2, 64)
    with pytest.raises(UsageError, match=r"\(queries, tokens, 64\)"):
        maxsim_residual(unit(3, 8, 32), documents)
    with pytest.raises(UsageError, match="one boolean for each"):
        maxsim_residual(unit(3, 8, 64), documents, document_mask=torch.ones(3).bool())
    with pytest.raises(UsageError, match="query mask"):
        maxsim_residual(unit(3, 8, 64), documents, query_mask=torch.ones(3).bool())
    codec, codes, residuals = documents.codec, documents.codes, documents.residuals
    with pytest.raises(UsageError, match="16 bytes"):
        pack_documents(codec, codes, residuals[:, :8], documents.offsets)
    with pytest.raises(UsageError, match="40 centroids"):
        pack_documents(codec, codes + 40, residuals, documents.offsets)
    for wrong in ([0, 5], [0, 300, 267], [1, 267]):
        with pytest.raises(UsageError, match="offsets run from"):
            pack_documents(codec, codes, residuals, torch.tensor(wrong))
    with pytest.raises(UsageError, match="int64"):
        encode_int8(unit(3, 8), torch.tensor([0, 3], dtype=torch.int32))
    with pytest.raises(UsageError, match="float16"):
        encode_int8(torch.full((1, 8), 1e8), torch.tensor([0, 1]), torch.float16)
