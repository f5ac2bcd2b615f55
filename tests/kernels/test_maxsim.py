"""MaxSim: by hand, against the reference in every layout, and its gradients, on both paths.

The Triton path runs on a GPU where there is one, else in Triton's interpreter (see conftest).
"""

import pytest
import torch

import polyrank.kernels as kernels
from polyrank.errors import UsageError
from polyrank.kernels import autograd, backend, reference, topk
from polyrank.kernels.cpu import maxsim_cpu, product, scan
from polyrank.kernels.triton import configuration

INF = float("inf")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(params=["torch", "avx2", "avx512", "triton"])
def path(request, monkeypatch, score_by):
    """Send every call by one path, whatever its device."""
    if request.param == "triton" and not backend.installed():
        pytest.skip("Triton is not installed")
    if request.param != "triton":
        score_by(request.param)
    chosen = configuration.fits if request.param == "triton" else lambda *_: False
    monkeypatch.setattr(autograd, "_on_triton", chosen)
    return request.param


def shaped(count, length, width, dtype=torch.float32):
    return torch.randn(count, length, width, dtype=dtype, device=DEVICE)


def batch(dtype=torch.float32, width=8):
    """Three queries and five documents with holes, a document without live tokens, and a tie."""
    torch.manual_seed(0)
    queries, documents = shaped(3, 5, width, dtype), shaped(5, 7, width, dtype)
    documents[1, 4] = documents[1, 2]
    query_mask = torch.rand(3, 5, device=DEVICE) > 0.3
    document_mask = torch.rand(5, 7, device=DEVICE) > 0.4
    document_mask[1, [2, 4]] = True
    document_mask[2] = False
    return queries, documents, query_mask, document_mask


def layouts(queries, documents, query_mask, document_mask):
    """Arguments for each public function, from one batch."""
    packed_queries, packed_documents = queries.flatten(0, 1), documents.flatten(0, 1)
    masks = query_mask.flatten(), document_mask.flatten()
    offsets = torch.tensor([0, 4, 4, 15]), torch.tensor([0, 1, 1, 20, 28, 35], dtype=torch.int32)
    lists = torch.tensor([[0, 1], [2, 3], [4, 0]], device=DEVICE)
    own, own_mask = documents[lists], document_mask[lists]
    return {
        "maxsim": (queries, documents, query_mask, document_mask),
        "maxsim_pairs": (queries, documents[:3], query_mask, document_mask[:3]),
        "maxsim_per_query": (queries, own, query_mask, own_mask),
        "maxsim_packed": (packed_queries, offsets[0], packed_documents, offsets[1], *masks),
    }


LAYOUTS = ["maxsim", "maxsim_pairs", "maxsim_per_query", "maxsim_packed"]


def test_by_hand(path):
    queries = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]], device=DEVICE)
    documents = torch.tensor(
        [[[0.5, 0.0], [0.0, 1.0]], [[-1.0, -1.0], [-3.0, -0.5]]], device=DEVICE
    )
    # q1: max(.5, 0) + max(0, 2); q2: max(-1, -3) + max(-2, -1)
    assert kernels.maxsim(queries, documents).tolist() == [[2.5, -2.0]]
    mask = torch.tensor([[False, True], [False, False]], device=DEVICE)
    assert kernels.maxsim(queries, documents, None, mask).tolist() == [[2.0, -INF]]
    first_only = torch.tensor([[True, False]], device=DEVICE)
    assert kernels.maxsim(queries, documents, first_only).tolist() == [[0.5, -1.0]]


def test_zero_mask_lets_a_masked_token_win_over_negative_ones(path):
    queries = torch.tensor([[[1.0, 0.0]]], device=DEVICE)
    documents = torch.tensor([[[-1.0, 0.0], [5.0, 0.0]], [[-2.0, 0.0], [-3.0, 0.0]]], device=DEVICE)
    mask = torch.tensor([[True, False], [False, False]], device=DEVICE)
    assert kernels.maxsim(queries, documents, None, mask).tolist() == [[-1.0, -INF]]
    zero = kernels.maxsim(queries, documents, None, mask, zero_mask=True)
    assert zero.tolist() == [[0.0, 0.0]]
    pylate = (torch.einsum("ash,bth->abst", queries, documents) * mask[None, :, None]).amax(-1)
    assert torch.equal(zero, pylate.sum(-1))


def without(masks, arguments):
    """The arguments of a layout, whose last two are the masks, with only some of these."""
    *rest, query_mask, document_mask = arguments
    return (
        *rest,
        query_mask if masks in ("both", "queries") else None,
        document_mask if masks in ("both", "documents") else None,
    )


@pytest.mark.parametrize("masks", ["both", "queries", "documents", "none"])
@pytest.mark.parametrize("zero_mask", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_equals_the_reference(layout, zero_mask, masks, path):
    arguments = without(masks, layouts(*batch())[layout])
    ours = getattr(kernels, layout)(*arguments, zero_mask=zero_mask)
    theirs = getattr(reference, layout)(*arguments, zero_mask=zero_mask)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masks", ["both", "none"])
@pytest.mark.parametrize("zero_mask", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_equal_the_reference(layout, zero_mask, masks, path):
    queries, documents, *both = batch()
    queries.requires_grad_()
    documents.requires_grad_()
    arguments = without(masks, layouts(queries, documents, *both)[layout])
    ours = getattr(kernels, layout)(*arguments, zero_mask=zero_mask)
    theirs = getattr(reference, layout)(*arguments, zero_mask=zero_mask)
    weight = torch.randn(ours.shape, device=DEVICE)
    expected = torch.autograd.grad(theirs, (queries, documents), weight, retain_graph=True)
    for ours_, theirs_ in zip(
        torch.autograd.grad(ours, (queries, documents), weight), expected, strict=True
    ):
        torch.testing.assert_close(ours_, theirs_)


@pytest.mark.parametrize("masks", ["both", "none"])
@pytest.mark.parametrize("zero_mask", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_half_precision(layout, zero_mask, masks, path):
    """fp16 goes other ways than fp32. Against the reference, in float64 over the same numbers."""
    vectors = [x.half() for x in batch()[:2]]
    vectors[0][:, 1:3] *= 2.0**-9  # small vectors keep their digits
    both = batch()[2:]
    found = []
    for function, dtype in ((kernels, torch.float16), (reference, torch.float64)):
        given = [x.to(dtype).requires_grad_() for x in vectors]
        arguments = without(masks, layouts(*given, *both)[layout])
        scores = getattr(function, layout)(*arguments, zero_mask=zero_mask)
        weight = torch.linspace(-1, 1.3, scores.numel()).view_as(scores).to(scores)
        found.append(torch.autograd.grad(scores, given, weight))
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == torch.float16
        # The result is rounded, and each share of the sum before it.
        allowed = 2.0**-10 * theirs.abs().amax(-1, keepdim=True) + 1e-6
        assert ((ours.double() - theirs).abs() <= allowed).all()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("width", [32, 24])
def test_many_queries_over_long_documents(masked, width, path):
    """More query tokens than a product has rows, and more document tokens than it has columns."""
    torch.manual_seed(2)
    queries, documents = torch.randn(5, 20, width), torch.randn(3, 150, width)
    mask = torch.rand(3, 150) > 0.3 if masked else None
    if mask is not None:
        mask[1] = False
    found = []
    for function, dtype in ((kernels.maxsim, torch.float16), (reference.maxsim, torch.float64)):
        given = [x.half().to(DEVICE, dtype).requires_grad_() for x in (queries, documents)]
        scores = function(*given, None, None if mask is None else mask.to(DEVICE))
        total = torch.where(scores.isfinite(), scores, 0.0).square().sum()
        found.append((scores, *torch.autograd.grad(total, given)))
    (scores, *ours), (expected, *theirs) = found
    torch.testing.assert_close(scores.double(), expected.double(), rtol=1e-5, atol=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        allowed = 2.0**-10 * other.abs().amax(-1, keepdim=True) + 1e-6
        assert ((one.double() - other).abs() <= allowed).all()


def test_half_queries_leave_the_gradient_of_full_documents_exact(path):
    torch.manual_seed(4)
    queries, documents = torch.randn(3, 5, 24).half().to(DEVICE), torch.randn(4, 9, 24).to(DEVICE)
    documents.requires_grad_()
    weight = torch.randn(3, 4).to(DEVICE)
    found = [
        torch.autograd.grad((one(x, y) * weight).sum(), documents)[0].double()
        for one, x, y in (
            (kernels.maxsim, queries, documents),
            (reference.maxsim, queries.float(), documents),
        )
    ]
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("tokens", "small"), [(20, 1.0), (64, 1e-4)])
def test_small_gradients_beside_a_large_one(tokens, small, path):
    """Two queries choose a token each, of one document, by hand."""
    queries = torch.eye(2, 16).repeat_interleave(tokens, 0).view(2, tokens, 16)
    documents = torch.eye(3, 16)[None]
    given = [x.half().to(DEVICE).requires_grad_() for x in (queries, documents)]
    weight = torch.tensor([[1e4], [small]], device=DEVICE)
    (found,) = torch.autograd.grad((kernels.maxsim(*given) * weight).sum(), given[1:])
    expected = torch.zeros(1, 3, 16)
    expected[0, 0, 0], expected[0, 1, 1] = torch.inf, tokens * small  # 200,000 is no fp16
    assert torch.equal(found[0, 0].cpu().float(), expected[0, 0])
    torch.testing.assert_close(found[0, 1].cpu().float(), expected[0, 1], rtol=1e-3, atol=0.0)


def test_an_infinite_gradient_of_an_empty_document_stays_out(path):
    torch.manual_seed(5)
    given = [
        x.half().to(DEVICE).requires_grad_() for x in (torch.randn(2, 5, 16), torch.randn(3, 7, 16))
    ]
    mask = torch.ones(3, 7, dtype=torch.bool, device=DEVICE)
    mask[1] = False
    weight = torch.ones(2, 3, device=DEVICE)
    weight[:, 1] = -torch.inf
    scores = kernels.maxsim(*given, None, mask)
    for found in torch.autograd.grad(scores, given, weight):
        assert found.isfinite().all()


@pytest.mark.skipif(not backend.installed(), reason="Triton is not installed")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_triton_program_may_score_several_documents(layout, monkeypatch):
    from polyrank.kernels.triton import maxsim_forward

    monkeypatch.setattr(autograd, "_on_triton", configuration.fits)
    arguments = layouts(*batch())[layout]
    expected = getattr(kernels, layout)(*arguments)
    monkeypatch.setattr(maxsim_forward, "documents_each", lambda *_: 3)
    assert torch.equal(getattr(kernels, layout)(*arguments), expected)


@pytest.mark.parametrize(
    ("queries", "query_length", "documents", "length", "width"),
    [
        (1, 1, 1, 1, 32),
        (5, 3, 2, 17, 48),  # five queries of four rows share a tile, which holds eight
        (3, 33, 1, 70, 64),  # longer than the rows that a query takes at a time
        (9, 32, 1, 129, 96),  # the last tile holds one query
        (1, 130, 2, 40, 128),  # longer than any tile
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_shapes_that_fill_no_tile(dtype, queries, query_length, documents, length, width, path):
    torch.manual_seed(2)
    q, d = shaped(queries, query_length, width, dtype), shaped(documents, length, width, dtype)
    q.requires_grad_()
    d.requires_grad_()
    mask = torch.rand(documents, length, device=DEVICE) > 0.2
    ours, theirs = kernels.maxsim(q, d, None, mask), reference.maxsim(q, d, None, mask)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    weight = torch.randn_like(ours)
    expected = torch.autograd.grad(theirs, (q, d), weight)
    got = torch.autograd.grad(ours, (q, d), weight)
    close = 1e-5 if dtype == torch.float32 else 2e-3  # rounded, by the reference too
    torch.testing.assert_close(got, expected, rtol=close, atol=close)


@pytest.mark.parametrize("zero_mask", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradcheck(layout, zero_mask):
    queries, documents, query_mask, document_mask = batch(torch.float64)
    documents[1, 4] += 0.1  # a tie has no derivative
    queries.requires_grad_()
    documents.requires_grad_()

    def score(queries, documents):
        arguments = layouts(queries, documents, query_mask, document_mask)[layout]
        return getattr(kernels, layout)(*arguments, zero_mask=zero_mask).nan_to_num(neginf=0.0)

    assert torch.autograd.gradcheck(score, (queries, documents))


def test_a_tie_sends_its_gradient_to_the_lowest_index(path):
    query = torch.ones(1, 1, 2, device=DEVICE)
    rows = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 2.0], [1.0, 1.0]], device=DEVICE)
    short = torch.tensor([[[0.0, 1.0]]], device=DEVICE)  # a document of one token beside it
    mask = torch.tensor([[True, False, True, True]], device=DEVICE)  # [2, 0] would tie

    def gradients(live):
        """Of the four rows, in each layout."""
        document = rows[None].clone().requires_grad_()
        ends = torch.tensor([0, 1]), torch.tensor([0, 4, 5])
        flat = None if live is None else torch.cat([live[0], live[0, :1]])
        lists = None if live is None else live[None]
        packed = torch.cat([document[0], short[0]])
        for scores in (
            kernels.maxsim(query, document, None, live),
            kernels.maxsim_pairs(query, document, None, live),
            kernels.maxsim_per_query(query, document[None], None, lists),
            kernels.maxsim_packed(query[0], ends[0], packed, ends[1], None, flat)[:, :1],
        ):
            yield torch.autograd.grad(scores.sum(), document, retain_graph=True)[0].abs().sum(-1)

    assert [found.tolist() for found in gradients(None)] == [[[0.0, 2.0, 0.0, 0.0]]] * 4
    assert [found.tolist() for found in gradients(mask)] == [[[0.0, 0.0, 2.0, 0.0]]] * 4


@pytest.mark.parametrize("zero_mask", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("live", [0.6, 0.95])  # few: rows are left out; most: all are multiplied
def test_what_a_masked_row_holds_is_never_seen(live, layout, zero_mask, path):
    queries, documents, query_mask, _ = batch()
    document_mask = torch.rand(documents.shape[:2], device=DEVICE) < live
    document_mask[0, 0] = document_mask[1] = False  # the row of losers, and a text without any

    def score_and_gradients(value):
        asked, given = queries.clone(), documents.clone()
        asked[~query_mask] = given[~document_mask] = value
        asked.requires_grad_(), given.requires_grad_()
        arguments = layouts(asked, given, query_mask, document_mask)[layout]
        scores = getattr(kernels, layout)(*arguments, zero_mask=zero_mask)
        live_scores = scores.masked_fill(scores == -INF, 0.0)
        return scores.detach(), *torch.autograd.grad(live_scores.sum(), (asked, given))

    for with_nan, clean in zip(
        score_and_gradients(torch.nan), score_and_gradients(0.0), strict=True
    ):
        assert torch.equal(with_nan, clean)


@pytest.mark.parametrize("block", [1, 40, 10_000])
def test_blocks_do_not_change_the_scores(block, monkeypatch, score_by):
    score_by("torch")
    arguments = layouts(*batch(torch.float64))
    whole = {name: getattr(kernels, name)(*arguments[name]) for name in LAYOUTS}
    monkeypatch.setattr(scan, "BLOCK", block)
    monkeypatch.setattr(scan, "QUERY_ROWS", 6)
    for name in LAYOUTS:
        torch.testing.assert_close(getattr(kernels, name)(*arguments[name]), whole[name])


def test_half_precision_is_accumulated_in_fp32(path):
    torch.manual_seed(1)
    # Triton's interpreter multiplies the bits of bf16 as integers.
    half = torch.float16 if path == "triton" and DEVICE == "cpu" else torch.bfloat16
    queries, documents = shaped(2, 32, 128, half), shaped(3, 20, 128, half)
    exact = reference.maxsim(queries.double(), documents.double())
    scores = kernels.maxsim(queries, documents)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores.double(), exact, rtol=1e-6, atol=1e-3)
    mixed = kernels.maxsim(queries.float(), documents)
    torch.testing.assert_close(mixed, scores, rtol=1e-6, atol=0.0)


def test_gradients_keep_the_type_of_their_input(path):
    queries, documents = shaped(2, 3, 8, torch.bfloat16), shaped(2, 4, 8)
    queries.requires_grad_()
    documents.requires_grad_()
    kernels.maxsim(queries, documents).sum().backward()
    assert (queries.grad.dtype, documents.grad.dtype) == (torch.bfloat16, torch.float32)


def test_nothing_to_score(path):
    assert kernels.maxsim(
        torch.ones(0, 3, 4, device=DEVICE), torch.ones(2, 5, 4, device=DEVICE)
    ).shape == (0, 2)
    assert kernels.maxsim(
        torch.ones(2, 3, 4, device=DEVICE), torch.ones(0, 5, 4, device=DEVICE)
    ).shape == (2, 0)
    assert kernels.maxsim(
        torch.ones(1, 3, 4, device=DEVICE), torch.ones(2, 0, 4, device=DEVICE)
    ).tolist() == [[-INF, -INF]]
    assert kernels.maxsim(
        torch.ones(1, 0, 4, device=DEVICE), torch.ones(1, 2, 4, device=DEVICE)
    ).tolist() == [[0.0]]


def test_topk_is_the_sorted_head_and_ties_go_to_the_lower_document(monkeypatch):
    queries, documents, query_mask, document_mask = batch()
    documents, document_mask = documents.repeat(3, 1, 1), document_mask.repeat(3, 1)  # ties
    scores = kernels.maxsim(queries, documents, query_mask, document_mask)
    order = scores.sort(dim=1, descending=True, stable=True)
    for step in (1 << 22, 12):  # in one step, and in steps of four documents
        monkeypatch.setattr(topk, "SCORES", step)
        values, indices = kernels.maxsim_topk(queries, documents, 4, query_mask, document_mask)
        assert torch.equal(values, order.values[:, :4])
        assert torch.equal(indices, order.indices[:, :4])
    everything, _ = kernels.maxsim_topk(queries, documents, 15, query_mask, document_mask)
    assert torch.equal(everything, order.values)  # -inf last


def test_topk_over_packed_documents(path):
    queries, documents, query_mask, document_mask = batch()
    packed, offsets = documents.flatten(0, 1), torch.arange(6) * 7
    expected = kernels.maxsim_topk(queries, documents, 3, query_mask, document_mask)
    got = kernels.maxsim_topk(
        queries, packed, 3, query_mask, document_mask.flatten(), document_offsets=offsets
    )
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q, d: kernels.maxsim(q, d[..., :3]), "different projections"),
        (lambda q, d: kernels.maxsim(q, d[0]), "3 dimensions"),
        (lambda q, d: kernels.maxsim(q, d.int()), "floating point"),
        (lambda q, d: kernels.maxsim(q, d, torch.ones(3, 5)), "boolean"),
        (lambda q, d: kernels.maxsim(q, d, torch.ones(3, 4, device=DEVICE).bool()), "has shape"),
        (lambda q, d: kernels.maxsim_pairs(q, d), "use maxsim"),
        (lambda q, d: kernels.maxsim_topk(q, d, 6), "1 to 5"),
        (
            lambda q, d: kernels.maxsim_packed(q[0], torch.tensor([0, 9]), d[0], torch.tensor([0])),
            "within 0 and 5",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call(*batch()[:2])


@pytest.mark.parametrize("shapes", [((2, 3, 8), (4, 0, 8)), ((2, 0, 8), (4, 3, 8))])
def test_gradients_where_there_is_no_token(shapes, path):
    queries, documents = (torch.ones(*s, device=DEVICE, requires_grad=True) for s in shapes)
    kernels.maxsim(queries, documents).sum().backward()
    assert not queries.grad.any() and not documents.grad.any()


# The CPU path's own ways: threads, oneDNN's products, blocks.


def ragged_corpus(seed=5):
    """Enough products that threads take the blocks: 3 × 20 tokens against 400 documents."""
    generator = torch.Generator().manual_seed(seed)
    queries = torch.randn(3, 20, 48, generator=generator)
    documents = torch.randn(400, 70, 48, generator=generator)
    lengths = torch.randint(0, 71, (400, 1), generator=generator)
    prefix = torch.arange(70) < lengths
    return queries, documents, prefix, prefix & (torch.rand(400, 70, generator=generator) > 0.3)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("path", ["torch", "avx2", "avx512"])
@pytest.mark.parametrize("mask", ["none", "prefix", "holes"])
def test_threads_do_not_change_a_bit(mask, path, threads, score_by):
    score_by(path)
    queries, documents, prefix, holes = ragged_corpus()
    mask = {"none": None, "prefix": prefix, "holes": holes}[mask]
    assert len(queries) * 20 * 400 * 70 > scan.SHARED  # threads do take part
    results = []
    for number in (1, 2, 3):
        threads(number)
        results.append(kernels.maxsim(queries, documents, None, mask))
        assert torch.get_num_threads() == number
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
    expected = reference.maxsim(queries.double(), documents.double(), None, mask)
    torch.testing.assert_close(results[0].double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_have_the_same_bits_from_run_to_run(layout, threads, path):
    queries, documents, query_mask, document_mask = batch()
    document_mask |= True  # many queries meet in each token
    queries.requires_grad_()
    documents.requires_grad_()
    found = []
    for number in (1, 2, 1, 3):
        threads(number)
        arguments = layouts(queries, documents, query_mask, document_mask)[layout]
        scores = getattr(kernels, layout)(*arguments)
        weight = torch.linspace(0.1, 1.7, scores.numel(), device=DEVICE).view_as(scores)
        scores = scores.masked_fill(scores == -INF, 0.0)
        found.append(torch.autograd.grad((scores * weight).sum(), (queries, documents)))
    for other in found[1:]:
        assert torch.equal(other[0], found[0][0]) and torch.equal(other[1], found[0][1])


@pytest.mark.parametrize("path", ["torch", "avx2", "avx512"])
def test_gradients_and_inference_mode_work_from_threads(path, threads, score_by):
    score_by(path)
    threads(2)
    queries, documents, _, holes = ragged_corpus()
    with torch.inference_mode():
        scores = kernels.maxsim(queries, documents, None, holes)
    queries.requires_grad_()
    documents.requires_grad_()
    ours = kernels.maxsim(queries, documents, None, holes)
    assert torch.equal(ours.detach(), scores)
    weight = torch.randn(ours.shape).masked_fill(ours == -INF, 0.0)
    theirs = reference.maxsim(queries, documents, None, holes)
    expected = torch.autograd.grad(theirs, (queries, documents), weight)
    got = torch.autograd.grad(ours, (queries, documents), weight)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_an_error_in_a_thread_reaches_the_caller(threads, monkeypatch, score_by):
    score_by("torch")
    threads(2)
    queries, documents, _, _ = ragged_corpus()

    def fails(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(maxsim_cpu, "_vectors", fails)
    with pytest.raises(MemoryError, match="no room"):
        kernels.maxsim(queries, documents)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("width", [32, 48, 64, 96, 128, 1, 7])
@pytest.mark.parametrize("lengths", [(1, 1), (1, 13), (5, 1), (31, 77)])
def test_products_by_onednn_are_those_of_float64(width, lengths, score_by):
    score_by("torch")
    torch.manual_seed(4)
    queries, documents = shaped(3, lengths[0], width), shaped(9, lengths[1], width)
    exact = reference.maxsim(queries.double(), documents.double())
    torch.testing.assert_close(
        kernels.maxsim(queries, documents).double(), exact, rtol=1e-5, atol=1e-4
    )


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
def test_less_than_fp32_only_when_asked(monkeypatch):
    place = torch.device("cpu")
    assert product.product(place, torch.float32) is product._linear
    assert product.product(place, torch.float64) is product._multiply
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    assert (
        product.product(place, torch.float32) is product._multiply
    )  # torch.mm knows what was asked


def test_inputs_that_are_not_contiguous(path):
    queries, documents, query_mask, document_mask = batch(width=8)
    expected = kernels.maxsim(queries, documents, query_mask, document_mask)
    wide = torch.cat([documents, torch.full_like(documents, torch.nan)], dim=-1)
    views = [
        documents.transpose(0, 1).contiguous().transpose(0, 1),  # tokens first
        documents.transpose(1, 2).contiguous().transpose(1, 2),  # dimensions before tokens
        wide[..., :8],  # rows that lie apart
        documents.repeat_interleave(2, dim=0)[::2],
    ]
    for view in views:
        assert not view.is_contiguous()
        scores = kernels.maxsim(queries[:, :, :], view, query_mask, document_mask)
        torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            kernels.maxsim(queries, view), kernels.maxsim(queries, documents), rtol=1e-6, atol=1e-6
        )
    turned = queries.transpose(0, 1).contiguous().transpose(0, 1)
    mask = document_mask.t().contiguous().t()
    scores = kernels.maxsim(turned, documents, query_mask, mask)
    torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [torch.nan, INF])
def test_what_is_not_finite_stays_in_its_document(value, path):
    queries, documents, query_mask, document_mask = batch()
    clean = kernels.maxsim(queries, documents, query_mask, document_mask)
    documents[3] = value
    scores = kernels.maxsim(queries, documents, query_mask, document_mask)
    others = [0, 1, 2, 4]
    assert torch.equal(scores[:, others], clean[:, others])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_query_and_no_document_in_every_layout(layout, path):
    none, some = torch.empty(0, 3, 4, device=DEVICE), torch.ones(2, 3, 4, device=DEVICE)
    offsets = torch.tensor([0, 3, 6])
    calls = {
        "maxsim": ((none, some), (some, none), (0, 2), (2, 0)),
        "maxsim_pairs": ((none, none), (none, none), (0,), (0,)),
        "maxsim_per_query": ((none, none[:, None]), (some, some[:, None][:, :0]), (0, 1), (2, 0)),
        "maxsim_packed": (
            (none.view(0, 4), torch.tensor([0]), some.view(6, 4), offsets),
            (some.view(6, 4), offsets, none.view(0, 4), torch.tensor([0])),
            (0, 2),
            (2, 0),
        ),
    }
    no_query, no_document, first, second = calls[layout]
    assert getattr(kernels, layout)(*no_query).shape == first
    assert getattr(kernels, layout)(*no_document).shape == second
