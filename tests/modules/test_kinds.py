"""The table of kinds; and that a new kind is one row and one file, with nothing else touched.

The toy is BitFit (Ben Zaken et al. 2022, arXiv 2106.10199): only bias vectors change.
"""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.composition.plan import compose
from polyrank.composition.routing import check_routing, usual_routing
from polyrank.errors import CompositionError, ModuleError, UsageError
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.card import ModuleCard, Parent, read_card, write_card
from polyrank.modules.folder import replaced
from polyrank.modules.kind import Kind, Loaded, resolved
from polyrank.modules.kinds import KINDS, kind_named, language_kinds
from polyrank.modules.mask.sparse import SparseDifference
from polyrank.modules.projection import Projection, TokenRules, save_projection

# --- the file of the toy kind --------------------------------------------------------------------

FILE = "bitfit.safetensors"


def load_bitfit(folder):
    """What is added to the bias vectors, each as a difference at all of its coordinates."""
    from safetensors.torch import load_file

    card = read_card(folder)
    if card.kind != "bitfit":
        raise ModuleError(f"'{card.full_name}' is a {card.kind}, not a bitfit")
    tensors = load_file(folder / FILE)
    parts = [tensors.pop(name) for name in ("w1", "b1", "w2", "b2") if name in tensors]
    head = Head(((parts[0], parts[1]), (parts[2], parts[3]))) if parts else None
    differences = {
        name: SparseDifference(tuple(bias.shape), torch.arange(bias.numel()), bias)
        for name, bias in tensors.items()
    }
    return Loaded(head, differences=differences)


def save_bitfit(biases, folder, card, head=None, projection=None):
    from safetensors.torch import save_file

    layers = [tensor for layer in head.layers for tensor in layer] if head else []
    named = dict(zip(("w1", "b1", "w2", "b2")[: len(layers)], layers, strict=True))
    with replaced(folder) as temporary:
        save_file({**biases, **named}, temporary / FILE)
        if projection is not None:
            save_projection(projection, temporary)
        return write_card(temporary, card)


# --- its row -------------------------------------------------------------------------------------

BITFIT = Kind(
    name="bitfit",
    plural="bias vectors",
    acts="weights",
    weights=FILE,
    reader=load_bitfit,
    writer=save_bitfit,
    training="absent.module:BITFIT",  # resolved when it is trained, and not before
    rates={"language": 1e-3, "ranking": 5e-4},
    refused={"split": "bias vectors cannot be routed 'split': all tokens share them."},
    routing="document",
)

# --- a zoo of them -------------------------------------------------------------------------------

RULES = TokenRules(
    query_marker=None, document_marker=None, dim=8, query_length=24, document_length=40,
    augment_to=0, skiplist="none",
)  # fmt: skip


def biases_of(model, seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: 0.3 * torch.randn(bias.shape, generator=generator)
        for name, bias in model.named_parameters()
        if name.endswith(".bias")
    }


@pytest.fixture
def bitfit(tiny_base, tiny_zoo, tmp_path, monkeypatch):
    """The zoo of the toy kind: languages en, ky, tr; rankers `squad` and `li`; `biases` by name."""
    monkeypatch.setitem(KINDS, "bitfit", BITFIT)
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    width = tiny_base.model.config.hidden_size
    made = torch.Generator().manual_seed(1)
    w1, b1, w2, b2, weight = (
        torch.randn(shape, generator=made) * 0.3
        for shape in ((width, width), (width,), (1, width), (1,), (8, width))
    )
    head, projection = Head(((w1, b1), (w2, b2))), Projection(RULES, weight)
    found = {"head": head, "projection": projection}

    def save(role, name, seed, **options):
        parent = options.pop("parent", None)
        language = name if role == "language" else "en"
        place = (tiny_base.name, tiny_base.fingerprint)
        card = ModuleCard(role, "bitfit", name, language, *place, parent)
        found[name] = biases_of(tiny_base.model, seed)
        folder = tmp_path / tiny_base.name / role / "bitfit" / name
        return KINDS["bitfit"].save(found[name], folder, card, **options)

    cards = {name: save("language", name, seed) for seed, name in enumerate(("en", "ky", "tr"))}
    parent = Parent("en", "en", KINDS["bitfit"].parent_hash(cards["en"].files))
    save("ranking", "squad", 10, head=head, parent=parent)
    save("ranking", "li", 11, projection=projection, parent=parent)
    return tmp_path, found


def with_biases(encoder, *parts):
    encoder = copy.deepcopy(encoder)
    with torch.no_grad():
        for name, bias in encoder.named_parameters():
            for part in parts:
                if name in part:
                    bias += part[name]
    return encoder


PAIRS = [
    (Query("1", "abc", "ky"), Document("1", "def ghi", language="en")),
    (Query("2", "jkl mno", "en"), Document("2", "pqr", language="tr")),
    (Query("3", "stu", "tr"), Document("3", "vwx yz abc", language="ky")),
]


@pytest.mark.parametrize("routing", ["none", "query", "document", "both"])
def test_a_new_kind_reranks_as_a_cross_encoder(bitfit, tiny_base, as_it_was, routing):
    """Against the encoder's own forward, the biases added by hand."""
    from polyrank.rerankers.modular import ModularReranker

    zoo, biases = bitfit
    unchanged = as_it_was(tiny_base.model)
    reranker = ModularReranker(tiny_base, "squad", "bitfit", routing, zoo=zoo, device="cpu")
    expected = []
    for query, document in PAIRS:
        sides = {"none": (), "query": (query.language,), "document": (document.language,)}
        names = sides.get(routing, {query.language, document.language})
        encoder = with_biases(tiny_base.model, biases["squad"], *(biases[n] for n in names))
        inputs = tiny_base.tokenizer(query.text, document.text, return_tensors="pt")
        with torch.no_grad():
            first = encoder(**inputs).last_hidden_state[:, 0]
            (w1, b1), (w2, b2) = biases["head"].layers
            expected.append(float(torch.tanh(first @ w1.T + b1) @ w2.T + b2))
    assert reranker.score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert unchanged()


def test_a_new_kind_lies_under_and_over_the_others(bitfit, tiny_base):
    from polyrank.rerankers.modular import ModularReranker

    zoo, _ = bitfit
    found = [
        ModularReranker(tiny_base, "squad", k, r, zoo=zoo, ranking_kind=o, device="cpu").score(
            PAIRS
        )
        for k, o, r in (
            ("bitfit", "bitfit", None),
            ("bitfit", "adapter", None),
            ("adapter", "bitfit", "split"),
        )
    ]
    assert len({round(score, 4) for scores in found for score in scores}) == 9


@pytest.mark.parametrize("routing", ["split", "document", "query", "none"])
def test_a_new_kind_reranks_by_late_interaction(bitfit, tiny_base, routing):
    """Against MaxSim by hand; every text is a sequence of its own, so here it may be split."""
    from polyrank.late_interaction.model import LateInteraction

    zoo, biases = bitfit
    scorer = LateInteraction(tiny_base, "li", "bitfit", routing, zoo=zoo, device="cpu")
    assert scorer.language_kind == "bitfit"

    def vectors(text, language):
        under = [biases["li"]] + ([biases[language]] if language else [])
        encoder = with_biases(tiny_base.model, *under)
        with torch.no_grad():
            hidden = encoder(**tiny_base.tokenizer(text, return_tensors="pt")).last_hidden_state
        projected = hidden[0] @ biases["projection"].weight.T
        return torch.nn.functional.normalize(projected, dim=1)

    expected = []
    for query, document in PAIRS:
        languages = {
            "split": (query.language, document.language),
            "document": (document.language,) * 2,
            "query": (query.language,) * 2,
            "none": (None, None),
        }[routing]
        asked, held = vectors(query.text, languages[0]), vectors(document.full_text, languages[1])
        expected.append(float((asked @ held.T).max(dim=1).values.sum()))
    assert scorer.score(PAIRS) == pytest.approx(expected, abs=1e-5)


def test_a_new_kind_composes_and_is_saved(bitfit, tiny_base, tmp_path):
    from polyrank.composition.merge import merge
    from polyrank.composition.saved import read_composition, save_composition
    from polyrank.rerankers.composed import ComposedReranker
    from polyrank.rerankers.modular import ModularReranker

    zoo, _ = bitfit
    assert usual_routing("bitfit") == "document" and "bitfit" in language_kinds()
    with pytest.raises(CompositionError, match="bias vectors cannot be routed 'split'"):
        compose(tiny_base, "squad", "ky", "en", routing="split", kind="bitfit", zoo=zoo)
    plan = compose(tiny_base, "squad", "ky", "en", kind="bitfit", zoo=zoo)
    assert "bitfits, routing document" in str(plan) and plan.document_module == "en"
    path = tmp_path / "plan.json"
    save_composition(plan, path, zoo=zoo)
    composed = ComposedReranker(read_composition(path), tiny_base, zoo=zoo, device="cpu")
    alike = ModularReranker(tiny_base, "squad", "bitfit", "document", zoo=zoo, device="cpu")
    assert composed.score(PAIRS[:1]) == alike.score(PAIRS[:1])
    merged = merge(plan, tiny_base, tmp_path / "merged", zoo)  # it acts on weights alone
    assert (merged.folder / "model.safetensors").is_file()


def test_a_new_kind_is_listed_and_verified(bitfit, tiny_base):
    from polyrank.zoo.find import info, list_modules
    from polyrank.zoo.imports.imported import export_module
    from polyrank.zoo.verify import verify

    zoo, _ = bitfit
    names = [entry.name for entry in list_modules(tiny_base.name, kind="bitfit", zoo=zoo)]
    start = tiny_base.name
    assert names == [
        *(f"{start}/language/bitfit/{tag}" for tag in ("en", "ky", "tr")),
        *(f"{start}/ranking/bitfit/{name}" for name in ("li", "squad")),
    ]
    assert info(names[0], zoo).card.kind == "bitfit"
    verdicts = {verdict.name: verdict.problem for verdict in verify(zoo=zoo)}
    assert {verdicts[name] for name in names} == {None}
    weights = zoo / names[0] / FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    verdicts = {verdict.name: verdict.problem for verdict in verify(zoo=zoo)}
    assert "was altered" in verdicts[names[0]]
    with pytest.raises(ModuleError, match="no other project has a format"):
        export_module(zoo / names[1], zoo / "out")


# --- the table -----------------------------------------------------------------------------------


def test_every_row_leads_to_its_reader_and_writer():
    for name, kind in KINDS.items():
        assert kind.name == name and set(kind.roles) <= {"language", "ranking"}
        assert callable(resolved(kind.reader)) and callable(resolved(kind.writer))
        assert kind.exporter is None or callable(resolved(kind.exporter))
        assert kind.routing not in kind.refused and kind.beneath in language_kinds()


def test_options_of_the_command_line_are_those_of_the_table():
    from polyrank.cli.options import Kind as Option
    from polyrank.cli.options import LanguageKind

    assert [member.value for member in Option] == list(KINDS)
    assert (
        [member.value for member in LanguageKind] == list(language_kinds()) == ["adapter", "mask"]
    )


@pytest.mark.parametrize(
    ("kind", "ranking_kind", "expected"),
    [
        ("adapter", None, "split"),
        ("mask", None, "document"),
        ("full", None, "none"),
        ("mask", "adapter", "document"),
        ("adapter", "mask", "split"),
        ("adapter", "full", "none"),
    ],
)
def test_default_routings(kind, ranking_kind, expected):
    assert usual_routing(kind, ranking_kind) == expected
    check_routing(kind, expected, ranking_kind)


def test_an_unknown_kind_is_named_with_those_there_are():
    with pytest.raises(UsageError, match=r"Unknown kind 'lora'. Use adapter, mask or full."):
        kind_named("lora")


def test_the_table_imports_no_torch():
    code = (
        "import sys, polyrank.modules.kinds, polyrank.modules.card, polyrank.composition.plan;"
        "assert not {'torch', 'transformers', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
