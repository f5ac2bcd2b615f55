"""Late interaction: rows alone and mixed agree, marks and limits are kept, kinds do not mix up."""

from __future__ import annotations

import pytest
import torch

from polyrank.collections.records import Collection, Document, Query, ScoredDocument
from polyrank.errors import LanguageError, ModuleError, UsageError
from polyrank.late_interaction.model import LateInteraction


@pytest.fixture
def model(tiny_base, late_zoo):
    """A late-interaction model over the base in turn: model(kind=..., ...)."""

    def make(**options):
        options = {"ranking": "li", "zoo": late_zoo, "device": "cpu", **options}
        return LateInteraction(tiny_base, **options)

    return make


def close(one, two, tolerance=1e-5):
    return all(
        a.shape == b.shape and torch.allclose(a, b, atol=tolerance)
        for a, b in zip(one, two, strict=True)
    )


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, ranking", [("adapter", "li"), ("full", "moved")])
@pytest.mark.parametrize("side", ["queries", "documents"])
def test_a_mixed_batch_is_encoded_as_each_text_alone(model, texts, kind, ranking, side):
    scorer = model(kind=kind, ranking=ranking)
    records = [Query(d.id, d.text, d.language) for d in texts] if side == "queries" else texts
    encode = getattr(scorer, f"encode_{side}")
    mixed, alone = encode(records), [encode([record])[0] for record in records]
    assert close(mixed, alone)
    assert all(torch.allclose(v.norm(dim=1), torch.ones(len(v)), atol=1e-5) for v in mixed)


def test_rows_without_padding_are_encoded_as_a_padded_batch(model, texts):
    packed, padded = model(), model()
    padded._tokens._packing = None
    assert packed._tokens._packing is not None
    assert close(packed.encode_documents(texts), padded.encode_documents(texts))


def test_8_bits_are_near_and_known_by_the_identity(model, texts):
    exact, small = model(), model(precision="int8")
    for one, two in zip(exact.encode_documents(texts), small.encode_documents(texts), strict=True):
        assert ((one * two).sum(dim=1) > 0.9).all()  # cosines
    assert small.identity() == {**exact.identity(), "precision": "int8"}


@pytest.mark.parametrize("kind, ranking", [("adapter", "li"), ("full", "moved")])
def test_the_language_matters(model, kind, ranking):
    scorer = model(kind=kind, ranking=ranking)
    (german,), (finnish,) = (scorer.encode_documents(["abc def"], tag) for tag in ("de", "fi"))
    assert (german - finnish).abs().max() > 1e-2
    plain = model(kind=kind, ranking=ranking, routing="none")
    assert close(
        plain.encode_documents(["abc def"], "de"), plain.encode_documents(["abc def"], "fi")
    )


def test_query_and_document_use_their_own_languages(model):
    scorer = model()
    query, document = Query("q", "abc def", "de"), Document("d", "abc hij", language="fi")
    (expected,) = scorer.encode_queries(["abc def"], "de")
    (other,) = scorer.encode_documents(["abc hij"], "fi")
    by_hand = (expected @ other.T).max(dim=1).values.sum().item()
    assert scorer.score([(query, document)])[0] == pytest.approx(by_hand, abs=1e-5)
    assert scorer.language_module("de", "query") == "de"


def test_both_sides_may_use_the_language_of_one(model, texts):
    """Routings 'document' and 'query', against vectors that are encoded as if in that language."""
    pairs = [(Query(f"q{i}", "abc def", tag), d) for tag in ("de", "fi") for i, d in
             enumerate(texts[:4])]  # fmt: skip
    plain = model()
    for routing in ("document", "query"):
        scorer = model(routing=routing)
        for (query, document), value in zip(pairs, scorer.score(pairs), strict=True):
            acting = document.language if routing == "document" else query.language
            (left,) = plain.encode_queries([query.text], acting)
            (right,) = plain.encode_documents([document.full_text], acting)
            assert value == pytest.approx((left @ right.T).amax(1).sum().item(), abs=1e-5)
    document = model(routing="document")
    (vectors,) = document.encode_queries(["abc"], "de", document_language="fi")
    assert close([vectors], plain.encode_queries(["abc"], "fi"))
    with pytest.raises(LanguageError, match="through the module of the document's language"):
        document.encode_queries(["abc"], "de")
    assert document.composition("de", "fi").active() == {"query": ("fi",), "document": ("fi",)}


def test_vectors_are_those_of_the_library_that_trained_them(model, trained_tokens):
    """Training runs through the `adapters` library, inference through polyrank's own engine."""
    scorer = model()
    rows, _ = scorer._text.queries(["abc def", "a"])
    ids = torch.tensor([row.ids for row in rows])
    attended = torch.tensor([[n < row.attended for n in range(len(row.ids))] for row in rows])
    with torch.no_grad():
        expected = trained_tokens(ids, attended.long())
    assert close(scorer.encode_queries(["abc def", "a"], "en"), list(expected))


# --- marks, limits, augmentation -----------------------------------------------------------------


def test_the_markers_are_beyond_the_vocabulary_and_tell_the_sides_apart(model, tiny_base):
    scorer = model()
    size = tiny_base.model.get_input_embeddings().num_embeddings
    assert (scorer.rules.query_marker, scorer.rules.document_marker) == (size, size + 1)
    assert len(tiny_base.tokenizer) <= size  # no text can be encoded to a marker
    (query,), (document,) = (
        scorer.encode_queries(["abc"], "en"),
        scorer.encode_documents(["abc"], "en"),
    )
    assert (query[: len(document)] - document).abs().max() > 1e-2


def test_short_queries_are_filled_long_ones_cut_and_counted(model):
    scorer = model()
    short, long = scorer.encode_queries(["a", "a b " * 50], "en")
    assert (len(short), len(long)) == (12, 24)  # augment_to, query_length
    assert scorer.notes["queries cut to 24 tokens"] == 1
    (document,) = model(document_length=10).encode_documents(["a" * 50], "en")
    assert len(document) in (9, 10)  # XLM-R's has a bare word boundary, which is not scored


def test_unattended_mask_tokens_leave_the_others_alone(model, tiny_base):
    scorer = model()
    (filled,) = scorer.encode_queries(["abc"], "en")
    rows, _ = scorer._text.queries(["abc"])
    bare = type(rows[0])(
        rows[0].ids[: rows[0].attended], rows[0].attended, scorer._tokens.module("en")
    )
    (expected,) = scorer._encode([bare])
    assert torch.allclose(filled[: len(expected)], expected, atol=1e-5)
    attending = type(rows[0])(rows[0].ids, len(rows[0].ids), scorer._tokens.module("en"))
    (changed,) = scorer._encode([attending])
    assert (changed[: len(expected)] - expected).abs().max() > 1e-3


@pytest.mark.parametrize(
    "text", ["", " ", "?", "1234", "a b " * 5000, "вода 水 ماء", "\u200b", "😀"]
)
def test_odd_texts_get_a_finite_score(model, text):
    scorer = model()
    for query, document in ((text, "a b c"), ("a b c", text), (text, text)):
        (hit,) = scorer.rank(query, [document], "de", "fi")
        assert abs(hit.score) <= 24.001


# --- ranking -------------------------------------------------------------------------------------


def test_small_batches_score_the_same(model, texts):
    query = Query("q", "abcd", "de")
    pairs = [(query, document) for document in texts]
    assert model(batch_tokens=1).score(pairs) == pytest.approx(model().score(pairs), abs=1e-5)


def test_candidates_come_back_once_and_ties_go_by_id(model):
    hits = model().rank("a", ["same", "same", "other"], "de", "en")
    assert sorted(hit.document_id for hit in hits) == ["0", "1", "2"]
    assert [h.document_id for h in hits if h.document_id != "2"] == ["0", "1"]
    documents = {f"d{i}": Document(f"d{i}", text, language="en") for i, text in enumerate("abc")}
    collection = Collection("toy", documents, {"q": Query("q", "b", "de")})
    run = model().rerank(collection, {"q": [ScoredDocument("q", i, 0.0) for i in documents]})
    assert sorted(hit.document_id for hit in run["q"]) == ["d0", "d1", "d2"]
    assert model().score([]) == []


def test_unknown_languages(model):
    with pytest.raises(LanguageError, match="'so'"):
        model().encode_documents(["a"], "so")
    scorer = model(fallback="none")
    assert close(
        scorer.encode_documents(["a b"], "so"), model(routing="none").encode_documents(["a b"])
    )
    assert any("'so'" in note for note in scorer.notes)
    scorer = model()
    scorer.encode_documents(["1234"])
    assert any("no language could be identified" in note for note in scorer.notes)


# --- what does not fit ---------------------------------------------------------------------------


def test_cross_encoders_and_late_interaction_refuse_each_other(model, tiny_base, late_zoo):
    from polyrank import Reranker

    with pytest.raises(ModuleError, match="is a cross-encoder.*\n.*pr.Reranker"):
        model(ranking="squad")
    for ranking, kind, routing in (("li", "adapter", "split"), ("moved", "full", "none")):
        with pytest.raises(ModuleError, match="late interaction.*\n.*pr.LateInteraction"):
            Reranker(tiny_base, ranking, kind, routing, zoo=late_zoo)


def test_options_that_mean_nothing(model):
    with pytest.raises(UsageError, match="one by one"):
        model(routing="both")
    with pytest.raises(UsageError, match="adapter"):
        model(kind="masks")
    with pytest.raises(UsageError, match="language modules are of the kinds adapter, mask"):
        model(language_kind="full")
    for kind, option in (("adapter", "--kind adapter"), ("mask", "--kind mask"),
                         ("full", "--recipe colbert-xm")):  # fmt: skip
        with pytest.raises(ModuleError, match=f"train late-interaction .* {option} "):
            model(ranking="absent", kind=kind)


def test_a_broken_projection_is_named(model, late_zoo, tiny_base, tmp_path):
    import shutil

    folder = tmp_path / "li"
    shutil.copytree(late_zoo / tiny_base.name / "ranking" / "adapter" / "li", folder)
    (folder / "late_interaction.json").write_text("{}")
    with pytest.raises(ModuleError, match="was altered"):
        model(ranking=str(folder))


# --- XMOD ----------------------------------------------------------------------------------------


@pytest.fixture
def xmod(tiny_xmod, xmod_zoo):
    def make(**options):
        options = {"ranking": "li", "kind": "full", "zoo": xmod_zoo, "device": "cpu", **options}
        return LateInteraction(str(tiny_xmod), **options)

    return make


def test_xmod_rows_of_different_languages_equal_each_alone(xmod, texts):
    scorer = xmod(fallback="none")
    mixed = scorer.encode_documents(texts)
    assert close(mixed, [scorer.encode_documents([text])[0] for text in texts])
    (german,), (kyrgyz,) = (scorer.encode_documents(["abc"], tag) for tag in ("de", "ky"))
    assert (german - kyrgyz).abs().max() > 1e-3


def test_xmod_agrees_with_the_library(xmod, tiny_xmod):
    """Against `XmodModel` itself, with its embedding table widened by the markers."""
    from polyrank.modules.full import load_full_encoder

    scorer = xmod()
    encoder = load_full_encoder(tiny_xmod.parent / "ranking" / "full" / "li")
    table = torch.nn.Embedding(encoder.config.vocab_size + 2, encoder.config.hidden_size)
    with torch.no_grad():
        table.weight.copy_(
            torch.cat([encoder.embeddings.word_embeddings.weight, scorer.projection.markers])
        )
    encoder.embeddings.word_embeddings = table
    rows, _ = scorer._text.documents(["abc def"])
    with torch.no_grad():
        hidden = encoder(torch.tensor([rows[0].ids]), lang_ids=torch.tensor([3])).last_hidden_state
        expected = torch.nn.functional.normalize(hidden[0] @ scorer.projection.weight.T, dim=1)
    boundary = scorer.base.tokenizer.convert_tokens_to_ids("▁")  # not scored
    expected = expected[[token != boundary for token in rows[0].ids]]
    assert close(scorer.encode_documents(["abc def"], "ky"), [expected])


def test_xmod_takes_no_masks(xmod):
    for kinds in ({"language_kind": "mask"}, {"kind": "mask"}):
        with pytest.raises((UsageError, ModuleError), match="no masks|no ranking mask"):
            xmod(**kinds)


def test_xmod_is_given_no_kind_of_language_modules(xmod):
    with pytest.raises(UsageError, match="--language-kind.*would be ignored"):
        xmod(language_kind="adapter")


def test_xmod_always_runs_a_language_module(xmod):
    with pytest.raises(LanguageError, match="'so'.*It has: de, en, fi, ky"):
        xmod().encode_documents(["abc"], "so")
    scorer = xmod(fallback="none")
    assert close(scorer.encode_documents(["abc"], "so"), scorer.encode_documents(["abc"], "en"))
    assert any("the one of 'en' is used" in note for note in scorer.notes)
    assert scorer.composition("ky", "de").query_module == "ky_KG"
