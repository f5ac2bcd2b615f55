"""A real late-interaction model over an index: what binds it, and what is found."""

import os
import shutil
from dataclasses import replace

import pytest

from polyrank.collections.records import Document, Query
from polyrank.errors import CompositionError
from polyrank.index.multivector import ModelEncoder, MultiVectorIndex, Plan, build, delete
from polyrank.late_interaction.model import LateInteraction

from ...late_interaction.conftest import late_masks, late_zoo, xmod_zoo  # noqa: F401

TEXTS = [
    Document(f"d{i}", text, language=language)
    for i, (text, language) in enumerate(
        [("iron salt", "en"), ("river, stone!", "ky"), ("old bird", "tr"), ("cold night", "zh")] * 3
    )
]
QUERIES = [Query("q0", "salt river", "ky"), Query("q1", "bird", "fi")]


@pytest.fixture
def model(tiny_base, late_zoo):  # noqa: F811
    return LateInteraction(tiny_base, "li", zoo=late_zoo, device="cpu")


@pytest.fixture
def index(model, tmp_path):
    return MultiVectorIndex.build(tmp_path / "index", TEXTS, model)


def test_search_scores_as_the_model_does(index, model):
    found = index.search(QUERIES, depth=20)
    for query in QUERIES:
        scores = model.score([(query, document) for document in TEXTS])
        expected = {d.id: score for d, score in zip(TEXTS, scores, strict=True)}
        hits = {hit.document_id: hit.score for hit in found[query.id]}
        assert hits == pytest.approx(expected, abs=1e-2)  # 12 query tokens, vectors in fp16


def test_the_index_loads_its_own_model(index, late_zoo, tiny_base, monkeypatch):  # noqa: F811
    monkeypatch.setenv("POLYRANK_ZOO", str(late_zoo))
    reopened = MultiVectorIndex(index.folder, options={"device": "cpu"})
    assert reopened.search(QUERIES, 5) == index.search(QUERIES, 5)
    assert reopened.info().base == tiny_base.name and reopened.info().ranking == "li"


def test_a_full_model_over_language_modules(tmp_path, tiny_base, late_zoo):  # noqa: F811
    moved = LateInteraction(tiny_base, "moved", "full", zoo=late_zoo, device="cpu")
    index = MultiVectorIndex.build(tmp_path / "index", TEXTS, moved, "int8")
    scores = moved.score([(QUERIES[0], document) for document in TEXTS])
    hits = {hit.document_id: hit.score for hit in index.search(QUERIES[:1])["q0"]}
    expected = {d.id: score for d, score in zip(TEXTS, scores, strict=True)}
    assert hits == pytest.approx(expected, abs=5e-2)  # 12 query tokens, vectors in int8
    assert str(index.info().modules["ky"]).startswith("'ky' (")


def test_a_model_of_other_lengths_or_weights_is_refused(index, tiny_base, late_zoo):  # noqa: F811
    shorter = LateInteraction(tiny_base, "li", document_length=16, zoo=late_zoo, device="cpu")
    with pytest.raises(CompositionError, match="document_length was 40 and is now 16"):
        MultiVectorIndex(index.folder, shorter).search(QUERIES)
    plain = LateInteraction(tiny_base, "li", routing="none", zoo=late_zoo, device="cpu")
    with pytest.raises(CompositionError, match="routing was 'split' and is now 'none'"):
        MultiVectorIndex(index.folder, plain).search(QUERIES)
    moved = LateInteraction(tiny_base, "moved", "full", zoo=late_zoo, device="cpu")
    with pytest.raises(CompositionError, match="projection was .*\n.*kind was 'adapter'"):
        MultiVectorIndex(index.folder, moved).search(QUERIES)


@pytest.fixture
def zoos(late_zoo, late_masks, monkeypatch):  # noqa: F811
    """Adapters and masks, where an index looks for its model."""
    monkeypatch.setenv("POLYRANK_ZOO", os.pathsep.join([str(late_zoo), str(late_masks)]))
    return late_masks


def scores_of(model, query):
    """The score of every text for a query, pair by pair."""
    scores = model.score([(query, document) for document in TEXTS])
    return {d.id: score for d, score in zip(TEXTS, scores, strict=True)}


def test_an_index_made_with_masks(tmp_path, tiny_base, zoos):
    model = LateInteraction(tiny_base, "li", "mask", device="cpu")
    index = MultiVectorIndex.build(tmp_path / "index", TEXTS, model)
    hits = {hit.document_id: hit.score for hit in index.search(QUERIES, 20)["q0"]}
    assert hits == pytest.approx(scores_of(model, QUERIES[0]), abs=1e-2)
    info = index.info()
    assert (info.kind, info.language_kind, info.routing) == ("mask", "mask", "split")
    assert str(info.modules["ky"]).startswith("'ky' (")
    reopened = MultiVectorIndex(index.folder, options={"device": "cpu"})
    assert reopened.search(QUERIES, 5) == index.search(QUERIES, 5)
    mixed = LateInteraction(tiny_base, "li", "mask", language_kind="adapter", device="cpu")
    with pytest.raises(CompositionError, match="language modules was 'mask' and is now 'adapter'"):
        MultiVectorIndex(index.folder, mixed).search(QUERIES)
    adapters = LateInteraction(tiny_base, "li", device="cpu")
    with pytest.raises(CompositionError, match="kind was 'mask' and is now 'adapter'"):
        MultiVectorIndex(index.folder, adapters).search(QUERIES)


def test_a_mask_that_was_trained_again_is_named(tmp_path, tiny_base, zoos, monkeypatch):
    model = LateInteraction(tiny_base, "li", "mask", device="cpu")
    index = MultiVectorIndex.build(tmp_path / "index", TEXTS, model)
    languages, other = zoos / tiny_base.name / "language" / "mask", tmp_path / "zoo"
    place = other / tiny_base.name / "language" / "mask" / "ky"
    shutil.copytree(languages / "tr", place)
    card = (place / "polyrank.json").read_text().replace('"tr"', '"ky"')
    (place / "polyrank.json").write_text(card)
    monkeypatch.setenv("POLYRANK_ZOO", os.pathsep.join([str(other), os.environ["POLYRANK_ZOO"]]))
    changed = LateInteraction(tiny_base, "li", "mask", device="cpu")
    with pytest.raises(CompositionError, match="language module of 'ky' was 'ky' \\(") as error:
        MultiVectorIndex(index.folder, changed).search(QUERIES)
    assert "'tr'" not in str(error.value)


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_routing_document_encodes_a_query_for_each_language(tmp_path, tiny_base, zoos, kind):
    model = LateInteraction(tiny_base, "li", kind, "document", device="cpu")
    index = MultiVectorIndex.build(tmp_path / "index", TEXTS, model)
    reopened = MultiVectorIndex(index.folder, options={"device": "cpu"})
    found = reopened.search(QUERIES, 20)
    for query in QUERIES:
        hits = {hit.document_id: hit.score for hit in found[query.id]}
        assert hits == pytest.approx(scores_of(model, query), abs=1e-2)
        ranked = sorted(found[query.id], key=lambda hit: (-hit.score, hit.document_id))
        assert found[query.id] == ranked
    five = reopened.search(QUERIES, 5)
    assert five == {query_id: hits[:5] for query_id, hits in found.items()}
    some = reopened.search(QUERIES, 20, languages=["ky", "zh"])["q0"]
    assert {hit.document_id for hit in some} == {d.id for d in TEXTS if d.language in ("ky", "zh")}
    assert reopened.search(QUERIES, 5, languages=["de"]) == {"q0": [], "q1": []}
    assert reopened.info().routing == "document"
    split = LateInteraction(tiny_base, "li", kind, "split", device="cpu")
    with pytest.raises(CompositionError, match="routing was 'document' and is now 'split'"):
        MultiVectorIndex(index.folder, split).search(QUERIES)


def test_fidelity_of_a_compressed_index_under_routing_document(tmp_path, tiny_base, zoos):
    from polyrank.evaluation.fidelity import encoded_again

    model = LateInteraction(tiny_base, "li", routing="document", device="cpu")
    index = MultiVectorIndex.build(tmp_path / "index", TEXTS, model, "residual-8")
    exact = encoded_again(index, QUERIES, 20, progress=False)
    for query in QUERIES:
        hits = {hit.document_id: hit.score for hit in exact[query.id]}
        assert hits == pytest.approx(scores_of(model, query), abs=1e-4)


@pytest.mark.parametrize("routing", ["split", "document", "none"])
def test_an_index_over_xmod(tmp_path, tiny_xmod, xmod_zoo, monkeypatch, routing):  # noqa: F811
    """Documents in three languages, each through the module that the checkpoint has for it."""
    monkeypatch.setenv("POLYRANK_ZOO", str(xmod_zoo))
    texts = [
        replace(d, language={"tr": "de", "zh": "fi"}.get(d.language, d.language)) for d in TEXTS
    ]
    model = LateInteraction(str(tiny_xmod), "li", "full", routing, device="cpu")
    index = MultiVectorIndex.build(tmp_path / "index", texts, model)
    scores = model.score([(QUERIES[0], document) for document in texts])
    hits = {hit.document_id: hit.score for hit in index.search(QUERIES[:1], 20)["q0"]}
    assert hits == pytest.approx({d.id: s for d, s in zip(texts, scores, strict=True)}, abs=1e-2)
    expected = {} if routing == "none" else {"ky": "'ky_KG'", "de": "'de_DE'"}
    assert {tag: index.info().modules[tag] for tag in expected} == expected
    again = MultiVectorIndex(tmp_path / "index", device="cpu", options={"base": str(tiny_xmod)})
    assert [h.document_id for h in again.search(QUERIES[:1], 20)["q0"]] == [
        h.document_id for h in index.search(QUERIES[:1], 20)["q0"]
    ]


def test_an_index_cannot_know_the_language_of_its_queries(tmp_path, tiny_base, zoos):
    model = LateInteraction(tiny_base, "li", routing="query", device="cpu")
    with pytest.raises(CompositionError, match="before anyone asks"):
        MultiVectorIndex.build(tmp_path / "index", TEXTS, model)
    assert not list(tmp_path.iterdir())


def test_a_language_module_that_was_trained_again_is_named(index, tiny_base, late_zoo, tmp_path):  # noqa: F811
    zoo = tmp_path / "zoo"
    languages = late_zoo / tiny_base.name / "language" / "adapter"
    other = zoo / tiny_base.name / "language" / "adapter" / "ky"
    shutil.copytree(languages / "tr", other)
    card = (other / "polyrank.json").read_text().replace('"tr"', '"ky"')
    (other / "polyrank.json").write_text(card)
    roots = os.pathsep.join([str(zoo), str(late_zoo)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYRANK_ZOO", roots)
        changed = LateInteraction(tiny_base, "li", device="cpu")
        with pytest.raises(CompositionError, match="language module of 'ky' was 'ky' \\(") as error:
            MultiVectorIndex(index.folder, changed).search(QUERIES)
        assert "'tr'" not in str(error.value)
        delete(index.folder, languages=["ky"])
        assert MultiVectorIndex(index.folder, changed).search(QUERIES)["q0"]


def test_languages_are_identified_where_none_is_given(tmp_path, model, monkeypatch):
    calls = []

    def identified(records):
        calls.append(len(records))
        return [record.language or "tr" for record in records]

    monkeypatch.setattr(model, "identified", identified)
    texts = [replace(TEXTS[0], id="x", language=None), TEXTS[1]]
    build(tmp_path / "index", texts, ModelEncoder(model), Plan("residual-4"))
    assert MultiVectorIndex(tmp_path / "index").info().languages == {"ky": 1, "tr": 1}
