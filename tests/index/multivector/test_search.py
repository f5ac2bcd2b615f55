"""What a search finds, against MaxSim over the vectors in memory."""

import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.index.multivector import MultiVectorIndex, Plan, Pruning, build
from polyrank.index.multivector.search import Best
from polyrank.kernels import reference
from polyrank.kernels.cpu import native

CODECS = ["fp16", "int8", "residual-4"]


def by_hand(encoder, documents, queries, vectors=None):
    """Query id → every document by (score, id), in plain PyTorch over fp32 vectors."""
    vectors = vectors or encoder.encode_documents(documents)
    asked = encoder.encode_queries(queries)
    run = {}
    for query, q in zip(queries, asked, strict=True):
        scores = [float(reference.maxsim(q[None], d[None].float())) for d in vectors]
        order = sorted(zip(documents, scores, strict=True), key=lambda pair: (-pair[1], pair[0].id))
        run[query.id] = [(document.id, score) for document, score in order]
    return run


def pairs(run):
    return {q: [(hit.document_id, hit.score) for hit in hits] for q, hits in run.items()}


def assert_same(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for query_id, hits in found.items():
        wanted = expected[query_id]
        assert [i for i, _ in hits] == [i for i, _ in wanted]
        assert [s for _, s in hits] == pytest.approx([s for _, s in wanted], abs=tolerance)


@pytest.fixture(params=CODECS)
def index(request, tmp_path, documents, encoder):
    build(tmp_path / "index", documents, encoder, Plan(request.param, 12, shard=11))
    return MultiVectorIndex(tmp_path / "index", encoder)


def stored(index, documents):
    """The vectors as the index decodes them, in the order of the documents."""
    found = {}
    for segment in index.snapshot.segments:
        for number, identity in enumerate(segment.ids):
            found[identity] = segment.vectors(torch.tensor([number]).numpy())[0]
    return [found[document.id] for document in documents]


def test_exact_search_is_maxsim_in_memory(index, documents, queries, encoder):
    codec = index.info().codec
    # With fp16 the vectors in memory, with codes what they decode to; fp16 norms: 1 in 2,048.
    vectors = None if codec == "fp16" else stored(index, documents)
    expected = by_hand(encoder, documents, queries, vectors)
    tolerance = {"fp16": 2e-3, "int8": 1e-5, "residual-4": 2e-3}[codec]
    for query_id, hits in pairs(index.search(queries, depth=100)).items():
        assert dict(hits) == pytest.approx(dict(expected[query_id]), abs=tolerance)
        assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))


def test_fp16_scores_are_those_of_the_rounded_vectors(tmp_path, documents, queries, encoder):
    build(tmp_path / "index", documents, encoder, Plan(shard=11))
    rounded = [v.half() for v in encoder.encode_documents(documents)]
    found = MultiVectorIndex(tmp_path / "index", encoder).search(queries, depth=7)
    expected = by_hand(encoder, documents, queries, rounded)
    assert_same(pairs(found), {q: hits[:7] for q, hits in expected.items()}, 1e-5)


@pytest.mark.parametrize("languages", [["sw"], ["ky", "zh"], ["swa"]])
def test_the_language_filter_is_the_filtered_exact_search(index, documents, queries, languages):
    language = {document.id: document.language for document in documents}
    wanted = {"sw" if tag == "swa" else tag for tag in languages}  # ISO 639-3 is understood
    everything = pairs(index.search(queries, depth=100))
    found = pairs(index.search(queries, depth=5, languages=languages))
    expected = {
        q: [hit for hit in hits if language[hit[0]] in wanted][:5] for q, hits in everything.items()
    }
    assert_same(found, expected, 1e-5)


def test_pruning_without_limits_is_exact(index, queries):
    exact = pairs(index.search(queries, depth=10))
    assert_same(pairs(index.search(queries, depth=10, pruning=Pruning(12, 40))), exact, 1e-5)


def test_pruning_rescores_what_it_finds(index, documents, queries):
    everything = {q: dict(hits) for q, hits in pairs(index.search(queries, depth=100)).items()}
    found = pairs(index.search(queries, depth=5, pruning=Pruning(2, 8)))
    for query_id, hits in found.items():
        assert len(hits) == 5
        assert [s for _, s in hits] == sorted((s for _, s in hits), reverse=True)
        for identity, score in hits:
            assert score == pytest.approx(everything[query_id][identity], abs=1e-5)


def test_a_filter_does_not_empty_a_pruned_ranking(index, documents, queries):
    language = {document.id: document.language for document in documents}
    for hits in index.search(queries, 10, languages=["ky"], pruning=Pruning(1, 10)).values():
        assert len(hits) == 10 and {language[hit.document_id] for hit in hits} == {"ky"}


@pytest.mark.skipif(native.level() == 0, reason="no compiled kernel on this machine")
@pytest.mark.parametrize("pruning", [None, Pruning(2, 8)])
@pytest.mark.parametrize("languages", [None, ["ky", "zh"]])
def test_the_compiled_kernel_finds_what_pytorch_does(
    index, queries, languages, pruning, monkeypatch
):
    compiled = pairs(index.search(queries, 6, languages=languages, pruning=pruning))
    monkeypatch.setattr(native, "level", lambda: 0)
    plain = pairs(index.search(queries, 6, languages=languages, pruning=pruning))
    assert_same(compiled, plain, 1e-5)


def test_small_blocks_and_many_queries_change_nothing(index, queries, monkeypatch):
    whole = pairs(index.search(queries, depth=6))
    monkeypatch.setattr("polyrank.index.multivector.search.blocks.__defaults__", (13,))
    monkeypatch.setattr("polyrank.index.multivector.search.QUERIES", 2)
    assert_same(pairs(index.search(queries, depth=6)), whole, 1e-5)


def test_equal_documents_are_ordered_by_id(tmp_path, encoder):
    texts = [Document(i, "salt iron", language="en") for i in ("b", "d", "a", "c")]
    build(tmp_path / "index", texts, encoder, Plan(shard=2))
    hits = MultiVectorIndex(tmp_path / "index", encoder).search([Query("q", "salt")], depth=3)["q"]
    assert [hit.document_id for hit in hits] == ["a", "b", "c"]


def test_the_best_by_hand():
    best = Best(queries=1, depth=2, rank=torch.tensor([3, 0, 2, 1]).numpy())
    best.add(torch.tensor([[0.5, 0.5]]), torch.tensor([0, 1]).numpy())
    best.add(torch.tensor([[0.5, 0.1]]), torch.tensor([2, 3]).numpy())
    assert best.hits() == [[(1, 0.5), (2, 0.5)]]  # of three that tie, the two of lower rank


def test_an_empty_document_is_kept_and_never_found(tmp_path, documents, queries, encoder):
    empty = Document("empty", " ", language="en")
    done = build(tmp_path / "index", [*documents, empty], encoder, Plan("int8", shard=41))
    index = MultiVectorIndex(tmp_path / "index", encoder)
    assert (done.documents, done.empty, len(index)) == (41, 1, 41)
    assert all(len(hits) == 40 for hits in index.search(queries, depth=100).values())
    assert index.documents(["empty"]) == {"empty": empty}


def test_an_unknown_language_is_und(tmp_path, queries, encoder):
    encoder.modules[None] = None
    texts = [Document("a", "salt"), Document("b", "salt", language="en")]
    build(tmp_path / "index", texts, encoder)
    index = MultiVectorIndex(tmp_path / "index", encoder)
    assert index.info().languages == {"en": 1, "und": 1}
    hits = index.search(queries[:1], languages=["und"])["q0"]
    assert [hit.document_id for hit in hits] == ["a"]


def test_documents_come_back_as_they_were(index, documents):
    found = index.documents(["d03", "nothing", "d00"])
    assert list(found) == ["d03", "d00"]
    assert found["d03"] == next(d for d in documents if d.id == "d03")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda index: index.search_vectors([torch.ones(2, 5)]), "takes \\(n, 16\\)"),
        (lambda index: index.search([], depth=0), "depth is 0"),
        (lambda index: Pruning(0, 5), "1 or more of each"),
    ],
)
def test_what_cannot_be_searched(index, ask, message):
    with pytest.raises(UsageError, match=message):
        ask(index)


def test_pruning_needs_centroids(tmp_path, documents, queries, encoder):
    build(tmp_path / "index", documents, encoder)
    with pytest.raises(UsageError, match="has no centroids"):
        MultiVectorIndex(tmp_path / "index", encoder).search(queries, pruning=Pruning())
