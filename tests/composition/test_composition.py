"""Compositions: what is active where, what is assumed, what is refused."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from polyrank.base import Fingerprint
from polyrank.composition.plan import Composition, compose
from polyrank.errors import CompositionError, LanguageError, ModuleError, UsageError
from polyrank.languages import tags
from polyrank.notes import Note

TINY = Composition(
    base="tiny",
    fingerprint=Fingerprint("3f9c0d1e2f3a4b5c", "81aa000011112222"),
    query_language="ky",
    document_language="en",
    query_module="ky",
    document_module="en",
    ranking="squad",
    routing="split",
    kind="adapter",
    notes=(Note("transfer", "zero-shot: trained over 'en'."),),
)


def test_it_prints_what_is_active_where():
    assert str(TINY) == (
        "base tiny (weights 3f9c0d1e…, vocabulary 81aa0000…), adapters, routing split\n"
        "  tokens    language  language module  ranking module\n"
        "  query     ky        ky               squad\n"
        "  document  en        en               squad\n"
        "note: zero-shot: trained over 'en'."
    )


@pytest.mark.parametrize(
    ("routing", "query", "document"),
    [
        ("none", (), ()),
        ("query", ("ky",), ("ky",)),
        ("document", ("en",), ("en",)),
        ("split", ("ky",), ("en",)),
        ("both", ("ky", "en"), ("ky", "en")),
    ],
)
def test_what_each_routing_activates(routing, query, document):
    active = replace(TINY, routing=routing).active()
    assert active == {"query": query, "document": document}


def test_it_is_a_value():
    assert len({TINY, replace(TINY), replace(TINY, routing="query")}) == 2
    assert Composition.from_json(TINY.to_json()) == TINY
    for text in ("", "{}", "[]", TINY.to_json().replace('"split"', '"sideways"')):
        with pytest.raises(CompositionError, match="this is not a composition"):
            Composition.from_json(text)


@pytest.fixture
def base(tiny_base, tiny_zoo, monkeypatch):
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    return tiny_base


def test_a_pair_of_languages(base):
    plan = compose(base, "squad", "kir", "en", routing="split")
    assert (plan.query_language, plan.query_module, plan.document_module) == ("ky", "ky", "en")
    assert plan.notes == (
        "zero-shot: the ranking module 'squad' was trained over 'en' and runs over 'ky'.",
    )


def test_only_the_modules_that_the_routing_uses_are_asked_for(base):
    plan = compose(base, "squad", query_language="ug", document_language="en")
    assert (plan.query_module, plan.document_module, plan.notes) == (None, "en", ())
    plan = compose(base, "bare", routing="none")
    assert plan.active() == {"query": (), "document": ()} and not plan.notes


def test_a_ranking_module_without_its_parent_is_noted(base):
    plan = compose(base, "squad", routing="none")
    assert "trained over the language module 'en', but runs over none" in plan.notes[0]
    plan = compose(base, "bare", document_language="tr")
    assert "trained without a language module" in plan.notes[0]


def test_an_exchanged_parent_is_refused(
    base, tiny_zoo, tiny_folder, adapter_model, save_random, tmp_path
):
    model = adapter_model(tiny_folder)
    model.add_adapter("en", config="seq_bn_inv")
    save_random(model, "en", base, tmp_path, role="language", seed=999)
    with pytest.raises(CompositionError, match="has other weights"):
        compose(base, "squad", document_language="en", zoo=tmp_path)


def test_a_language_without_module(base, monkeypatch):
    with pytest.raises(LanguageError) as error:
        compose(base, "squad", document_language="kk")
    nearest = [tag for tag in tags.related("kk") if tag in ("ky", "tr")][0]
    assert f"The nearest with one is '{nearest}'" in str(error.value)
    assert "polyrank train language" in str(error.value)

    plan = compose(base, "squad", document_language="kk", fallback="related")
    assert plan.document_module == nearest
    assert "uses its nearest relative" in plan.notes[0]

    plan = compose(base, "squad", document_language="kk", fallback="none")
    assert plan.document_module is None
    assert plan.notes[0] == "there is no language adapter for 'kk': none on the document side."

    monkeypatch.setattr(tags, "related", lambda language: [])
    with pytest.raises(LanguageError, match="Available: de, en, fi, ky, tr, zh"):
        compose(base, "squad", document_language="kk", fallback="related")
    monkeypatch.setenv("POLYRANK_ZOO", os.environ["POLYRANK_ZOO"] + os.pathsep + "absent/zoo")
    with pytest.raises(UsageError, match="POLYRANK_ZOO names 'absent/zoo': no such folder"):
        compose(base, "squad", document_language="en")


def test_a_language_that_nobody_named(base):
    with pytest.raises(LanguageError, match="needs the query's language"):
        compose(base, "squad", document_language="en", routing="split")
    plan = compose(base, "squad", document_language="en", routing="split", fallback="none")
    assert plan.query_module is None and "no language is known for the query" in plan.notes[0]


def test_another_base_is_refused_with_the_command_that_helps(base):
    other = SimpleNamespace(name=base.name, fingerprint=Fingerprint("0" * 16, "1" * 16))
    with pytest.raises(ModuleError) as error:
        compose(other, "squad", document_language="en")
    assert f"made for base '{base.name}' ({base.fingerprint})" in str(error.value)
    assert "but this base is" in str(error.value) and "00000000" in str(error.value)
    assert f"polyrank train ranking --base {base.name}" in str(error.value)


def test_a_module_in_the_wrong_role_is_refused(base, tiny_zoo):
    folder = tiny_zoo / base.name / "language" / "adapter" / "ky"
    with pytest.raises(ModuleError, match="is a language adapter"):
        compose(base, str(folder), document_language="en")


@pytest.mark.parametrize(
    ("kind", "routing", "message"),
    [
        ("mask", "split", "masks cannot be routed 'split'"),
        ("adapter", "both", "adapters cannot be routed 'both'"),
        ("full", "query", "takes no language modules"),
    ],
)
def test_routings_that_a_kind_does_not_allow(base, kind, routing, message):
    with pytest.raises(CompositionError, match=message):
        compose(base, "squad", "ky", "en", routing=routing, kind=kind)


@pytest.mark.parametrize(
    ("kind", "ranking_kind", "routing", "message"),
    [
        ("mask", "adapter", "split", "masks cannot be routed 'split'"),
        ("adapter", "mask", "both", "adapters cannot be routed 'both'"),
        ("mask", "full", "query", "takes no language modules"),
        ("full", "mask", "none", "not language modules"),
    ],
)
def test_kinds_that_do_not_go_together(base, kind, ranking_kind, routing, message):
    with pytest.raises(CompositionError, match=message):
        compose(base, "squad", "ky", "en", routing=routing, kind=kind, ranking_kind=ranking_kind)


def test_both_adds_each_mask_once(base, mask_zoo):
    options = {"routing": "both", "kind": "mask", "zoo": mask_zoo}
    two = compose(base, "squad", "ky", "en", **options)
    assert two.active() == {"query": ("ky", "en"), "document": ("ky", "en")}
    assert "base" in str(two) and "masks, routing both" in str(two) and "ky + en" in str(two)
    one = compose(base, "squad", "ky", "ky", **options)
    assert one.active() == {"query": ("ky",), "document": ("ky",)}


def test_language_masks_under_a_ranking_adapter_and_the_reverse(base, mask_zoo):
    plan = compose(base, "squad", "ky", "en", "both", "mask", zoo=mask_zoo, ranking_kind="adapter")
    assert (plan.kind, plan.ranking_kind) == ("mask", "adapter")
    assert "language masks, ranking adapter, routing both" in str(plan)
    assert "was trained over language adapters and runs over language masks" in str(plan)
    assert Composition.from_json(plan.to_json()) == plan

    plan = compose(base, "squad", "ky", "en", "split", zoo=mask_zoo, ranking_kind="mask")
    assert "language adapters, ranking mask, routing split" in str(plan)
    assert "was trained over language masks and runs over language adapters" in str(plan)
    plan = compose(base, "bare", "ky", "en", "split", zoo=mask_zoo, ranking_kind="mask")
    assert "trained without a language module" in plan.notes[0] and len(plan.notes) == 1
    with pytest.raises(ModuleError, match="there is no ranking mask 'absent'"):
        compose(base, "absent", "ky", "en", "split", zoo=mask_zoo, ranking_kind="mask")


def test_a_composition_of_one_kind_needs_no_second(base):
    plan = compose(base, "squad", document_language="en")
    assert plan.ranking_kind == "adapter" == replace(TINY).ranking_kind
    old = TINY.to_json().replace('"ranking_kind": "adapter"', '"ranking_kind": ""')
    assert Composition.from_json(old) == TINY


def test_unknown_words(base):
    for options in (
        {"routing": "sideways"},
        {"fallback": "guess"},
        {"kind": "lora"},
        {"ranking_kind": "lora"},
    ):
        with pytest.raises(UsageError, match="[Uu]nknown"):
            compose(base, "squad", "ky", "en", **options)
    with pytest.raises(ModuleError, match="there is no ranking adapter 'marco'"):
        compose(base, "marco", "ky", "en")
