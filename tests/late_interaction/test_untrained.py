"""MaxSim over a base whose vectors are for retrieval, without a ranking module: what is scored,
what language modules do under it, and what an index of it is bound to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.errors import CompositionError, ModuleError, UsageError
from polyrank.index.multivector import MultiVectorIndex
from polyrank.late_interaction.model import LateInteraction
from polyrank.late_interaction.skiplist import is_punctuation, surface
from polyrank.modules.projection import (
    RULES_FILE,
    Projection,
    TokenRules,
    load_projection,
    save_projection,
)

QUERY, TEXTS = "abc def", ["abc hij, ab", "def", "j i h g f e d c b a", "abc def"]


@pytest.fixture
def model(carded_base, tiny_zoo):
    """Without a ranking module over the base in turn: model(routing=..., ...)."""

    def make(**options):
        return LateInteraction(carded_base, "none", device="cpu", **{"zoo": tiny_zoo, **options})

    return make


def by_hand(base, prefix, text, encoder=None, document=False):
    """Unit hidden states of a text's own tokens, from plain transformers: (n, H)."""
    inputs = base.tokenizer(prefix + text, return_tensors="pt")
    with torch.no_grad():
        (hidden,) = (encoder or base.model)(**inputs).last_hidden_state
    before = 1 + len(base.tokenizer(prefix, add_special_tokens=False)["input_ids"])
    ids, states = inputs["input_ids"][0, before:-1], hidden[before:-1]
    if document:
        tokens = base.tokenizer.convert_ids_to_tokens(ids.tolist())
        special = base.tokenizer.all_special_tokens
        states = states[
            [t in special or not is_punctuation(surface(base.tokenizer, t)) for t in tokens]
        ]
    return torch.nn.functional.normalize(states, dim=-1)


def test_scores_are_those_of_the_hidden_states(model, carded_base):
    scorer = model()
    assert (scorer.ranking, scorer.routing, scorer.dim) == ("none", "none", 32)
    query = by_hand(carded_base, "ask: ", QUERY)
    documents = [by_hand(carded_base, "tell: ", text, document=True) for text in TEXTS]
    expected = [(query @ document.T).amax(dim=1).sum().item() for document in documents]
    pairs = [(Query("q", QUERY, "en"), Document(f"d{i}", t, language="en"))
             for i, t in enumerate(TEXTS)]  # fmt: skip
    assert scorer.score(pairs) == pytest.approx(expected, abs=1e-5)
    assert [scorer.score([pair])[0] for pair in pairs] == pytest.approx(expected, abs=1e-5)


def test_neither_prefix_nor_specials_are_scored(model, tiny_bert, carded_base):
    scorer = model()
    (query,), (document,) = scorer.encode_queries(["abc"], "en"), scorer.encode_documents(["abc"])
    assert len(query) == len(document) == 3  # a letter is a token, [CLS] and [SEP] are left out
    assert (query - document).abs().max() > 1e-2  # but the prefixes were attended to
    bare = replace(carded_base, card=replace(carded_base.card, query_prefix="", passage_prefix=""))
    (alone,) = LateInteraction(bare, "none", device="cpu").encode_queries(["abc"], "en")
    assert alone.shape[0] in (3, 4) and alone.shape[1] == 32  # XLM-R's has a word boundary


def test_a_text_with_nothing_to_score_is_scored_as_a_whole(model):
    scorer = model()
    vectors = [*scorer.encode_queries([""], "en"), *scorer.encode_documents(["", " "], "en")]
    assert all(len(found) > 2 for found in vectors)  # prefix and specials


def test_long_texts_lose_their_end_and_keep_the_prefix(model, carded_base):
    scorer = model(document_length=20)
    (cut,) = scorer.encode_documents(["a b c d " * 20], "en")
    assert scorer.notes["documents cut to 20 tokens"] == 1
    before = len(carded_base.tokenizer("tell: ", add_special_tokens=False)["input_ids"])
    assert len(cut) <= 18 - before


def test_vectors_are_kept_up_to_a_limit(model, monkeypatch):
    pairs = [(Query("q", QUERY, "en"), Document(f"d{i}", t, language="en"))
             for i, t in enumerate(TEXTS)]  # fmt: skip
    expected, roomy, tight = model().score(pairs), model(keep=1 << 20), model(keep=1500)
    assert [scorer.score(pairs) == expected for scorer in (roomy, tight)] == [True, True]
    assert len(tight._kept) < len(roomy._kept) == 4 and 0 < tight._kept.bytes <= 1500
    calls: list[str] = []
    encode = LateInteraction._documents

    def counted(self, records, *rest):
        calls.extend(record.id for record in records)
        return encode(self, records, *rest)

    monkeypatch.setattr(LateInteraction, "_documents", counted)
    assert roomy.score(pairs) == expected and calls == []
    assert tight.score(pairs) == pytest.approx(expected, abs=1e-5) and 0 < len(set(calls)) <= 4
    assert len(model()._kept) == 0


# --- language modules ----------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["queries", "documents"])
def test_a_mixed_batch_is_encoded_as_each_text_alone(model, texts, side):
    scorer = model(routing="split")
    records = [Query(d.id, d.text, d.language) for d in texts] if side == "queries" else texts
    encode = getattr(scorer, f"encode_{side}")
    for mixed, record in zip(encode(records), records, strict=True):
        assert torch.allclose(mixed, encode([record])[0], atol=1e-5)


def test_adapters_act_under_it(model, carded_base, tiny_zoo):
    from polyrank.encoders.routed import RoutedEncoder
    from polyrank.modules.adapter.adapter_folder import load_adapter_module

    folder = tiny_zoo / carded_base.name / "language" / "adapter" / "ky"
    routed = RoutedEncoder(carded_base.model, [load_adapter_module(folder)])
    inputs = carded_base.tokenizer("ask: abc", return_tensors="pt")
    ids = inputs["input_ids"]
    with torch.no_grad():
        (hidden,) = routed(
            ids, inputs["attention_mask"], inputs.get("token_type_ids"), torch.zeros_like(ids)
        )
    (found,) = model(routing="split").encode_queries(["abc"], "ky")
    assert torch.allclose(found, torch.nn.functional.normalize(hidden[-4:-1], dim=-1), atol=1e-5)
    plan = model(routing="split").composition("ky", "de")
    assert plan.active() == {"query": ("ky",), "document": ("de",)} and plan.ranking is None


def test_masks_act_under_it(model, carded_base, mask_zoo, dense):
    scorer = model(kind="mask", zoo=mask_zoo, routing="split")
    folder = mask_zoo / carded_base.name / "language" / "mask" / "ky"
    (found,) = scorer.encode_queries(["abc"], "ky")
    expected = by_hand(carded_base, "ask: ", "abc", dense(carded_base.model, folder))
    assert torch.allclose(found, expected, atol=1e-5)


# --- when there is a module, when there must be one -----------------------------------------------


def test_without_a_name_the_zoo_decides(carded_base, tiny_base, late_zoo, tmp_path):
    import shutil

    found = LateInteraction(carded_base, zoo=late_zoo, device="cpu")
    assert found.ranking == "none"
    here = tmp_path / "zoo" / carded_base.name / "ranking" / "adapter" / "squad-li"
    shutil.copytree(late_zoo / carded_base.name / "ranking" / "adapter" / "li", here)
    card = (here / "polyrank.json").read_text().replace('"name": "li"', '"name": "squad-li"')
    (here / "polyrank.json").write_text(card)
    trained = LateInteraction(carded_base, zoo=tmp_path / "zoo", routing="none", device="cpu")
    assert (trained.ranking, trained.dim) == ("squad-li", 16)
    with pytest.raises(ModuleError, match="there is no ranking adapter 'squad-li'"):
        LateInteraction(tiny_base, zoo=late_zoo, device="cpu")


def test_a_base_without_vectors_for_retrieval_needs_a_module(tiny_base, carded_base):
    with pytest.raises(ModuleError, match="not trained for retrieval.*\\n.*late-interaction"):
        LateInteraction(tiny_base, "none", device="cpu")
    with pytest.raises(UsageError, match="kind 'full' is of a ranking module"):
        LateInteraction(carded_base, "none", "full", device="cpu")


# --- on disk -------------------------------------------------------------------------------------


def test_an_index_keeps_what_was_used(model, carded_base, tiny_zoo, tmp_path):
    records = [Document(f"d{i}", text, language="en") for i, text in enumerate(TEXTS)]
    queries = [Query("q", QUERY, "en")]
    index = MultiVectorIndex.build(tmp_path / "index", records, model())
    scores = model().score([(queries[0], record) for record in records])
    expected = {record.id: score for record, score in zip(records, scores, strict=True)}
    again = MultiVectorIndex(index.folder, options={"base": carded_base, "device": "cpu"})
    hits = {hit.document_id: hit.score for hit in again.search(queries)["q"]}
    assert hits == pytest.approx(expected, abs=1e-2)  # vectors in fp16
    info = again.info()
    assert (info.ranking, info.dim, info.routing) == ("none", 32, "none")
    other = replace(carded_base, card=replace(carded_base.card, passage_prefix="say: "))
    with pytest.raises(CompositionError, match="document_prefix was 'tell: ' and is now 'say: '"):
        MultiVectorIndex(index.folder, LateInteraction(other, "none", device="cpu")).search(queries)


def test_rules_of_before_are_written_and_read_as_before(tmp_path):
    plain = TokenRules(7, 8, dim=4)
    assert not {"query_prefix", "document_prefix", "specials"} & set(plain.record())
    rules = replace(plain, query_prefix="ask: ", specials=False)
    assert rules.record()["query_prefix"] == "ask: " and rules.record()["specials"] is False
    for one in (plain, rules):
        save_projection(Projection(one, torch.eye(4)), tmp_path)
        assert load_projection(tmp_path).rules == one
        assert ("query_prefix" in (tmp_path / RULES_FILE).read_text()) == (one is rules)


def test_it_cannot_be_exported(model, tmp_path):
    with pytest.raises(ModuleError, match="PyLate scores every token of a query"):
        model(kind="mask").export_pylate(tmp_path / "out")
