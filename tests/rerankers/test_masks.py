"""Reranking with masks: any mixture scores as each pair alone, and the base stays as it was."""

from __future__ import annotations

import copy
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.encoders.routed import RoutedEncoder, score
from polyrank.errors import CompositionError, ModuleError
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.mask.mask_folder import load_mask_module

LANGUAGES = ("en", "ky", "tr")
KINDS = [
    ("mask", "mask", "none"),
    ("mask", "mask", "query"),
    ("mask", "mask", "document"),
    ("mask", "mask", "both"),
    ("mask", "adapter", "both"),
    ("adapter", "mask", "split"),
]


@pytest.fixture
def reranker(tiny_base, tiny_zoo, mask_zoo, monkeypatch):
    """A reranker over masks and adapters: reranker(routing=..., ...)."""
    from polyrank import Reranker

    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))

    def make(**options):
        return Reranker(tiny_base, **{"zoo": mask_zoo, "kind": "mask", **options})

    return make


@pytest.fixture
def pairs(words):
    """All nine language pairs, shuffled, of different lengths."""
    source = random.Random(3)
    found = [
        (
            Query(f"q{i}", words(source, 1 + i % 4), q),
            Document(f"d{i}", words(source, 2 + i), language=d),
        )
        for i, (q, d) in enumerate(itertools.product(LANGUAGES, LANGUAGES))
    ]
    source.shuffle(found)
    return found


@pytest.mark.parametrize(("kind", "ranking_kind", "routing"), KINDS)
def test_a_mixed_batch_scores_as_each_pair_alone(
    reranker, pairs, tiny_base, as_it_was, kind, ranking_kind, routing
):
    unchanged = as_it_was(tiny_base.model)
    options = {"kind": kind, "ranking_kind": ranking_kind, "routing": routing}
    mixed = reranker(**options).score(pairs)
    single = reranker(**options)
    alone = [single.score([pair])[0] for pair in pairs]
    assert mixed == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) == len(alone)
    assert unchanged()


def test_kinds_and_routings_matter(reranker, pairs):
    scores = [reranker(kind=k, ranking_kind=r, routing=o).score(pairs) for k, r, o in KINDS]
    for one, two in itertools.combinations(scores, 2):
        assert max(abs(a - b) for a, b in zip(one, two, strict=True)) > 1e-3


# --- against dense sums --------------------------------------------------------------------------


def scored_by(encoder, head, base, query, document):
    """The head's own two layers over the first token of the encoder's own output."""
    inputs = base.tokenizer(query.text, document.text, return_tensors="pt")
    with torch.no_grad():
        first = encoder(**inputs).last_hidden_state[:, 0]
        (w1, b1), (w2, b2) = head.layers
        return float(torch.tanh(first @ w1.T + b1) @ w2.T + b2)


@pytest.mark.parametrize("routing", ["document", "query", "both", "none"])
def test_a_ranking_mask_over_another_languages_mask(
    reranker, pairs, mask_zoo, tiny_base, dense, routing
):
    """Trained over en: base + language difference + ranking difference, densely computed."""
    folder = mask_zoo / tiny_base.name
    ranking = folder / "ranking" / "mask" / "squad"
    head = load_mask_module(ranking).head
    found = reranker(routing=routing).score(pairs)
    for (query, document), value in zip(pairs, found, strict=True):
        used = {
            "query": {query.language},
            "document": {document.language},
            "both": {query.language, document.language},
            "none": set(),
        }[routing]
        masks = [folder / "language" / "mask" / tag for tag in sorted(used)]
        encoder = dense(tiny_base.model, ranking, *masks)
        assert value == pytest.approx(
            scored_by(encoder, head, tiny_base, query, document), abs=2e-5
        )


def encoded(base, query, document):
    inputs = base.tokenizer(query.text, document.text, return_tensors="pt")
    types = inputs.get("token_type_ids")
    return inputs["input_ids"], inputs["attention_mask"], types


def test_language_masks_under_a_ranking_adapter(
    reranker, pairs, mask_zoo, tiny_zoo, tiny_base, dense
):
    ranking = load_adapter_module(tiny_zoo / tiny_base.name / "ranking" / "adapter" / "squad")
    found = reranker(ranking_kind="adapter", routing="document").score(pairs)
    for (query, document), value in list(zip(pairs, found, strict=True))[:4]:
        mask = mask_zoo / tiny_base.name / "language" / "mask" / document.language
        engine = RoutedEncoder(dense(tiny_base.model, mask), [], ranking)
        expected = score(engine(*encoded(tiny_base, query, document)), ranking.head)
        assert value == pytest.approx(float(expected), abs=2e-5)


def test_language_adapters_over_a_ranking_mask(
    reranker, pairs, mask_zoo, tiny_zoo, tiny_base, dense
):
    ranking = mask_zoo / tiny_base.name / "ranking" / "mask" / "squad"
    encoder, head = dense(tiny_base.model, ranking), load_mask_module(ranking).head
    scorer = reranker(kind="adapter", ranking_kind="mask", routing="document")
    found = scorer.score(pairs)
    for (query, document), value in list(zip(pairs, found, strict=True))[:4]:
        folder = tiny_zoo / tiny_base.name / "language" / "adapter" / document.language
        engine = RoutedEncoder(encoder, [load_adapter_module(folder)])
        ids, attended, types = encoded(tiny_base, query, document)
        hidden = engine(ids, attended, types, torch.zeros_like(ids))
        assert value == pytest.approx(float(score(hidden, head)), abs=2e-5)
    noted = [n for n in scorer.notes if "trained over language masks and runs over" in n]
    assert [scorer.notes[n] for n in noted] == [len(pairs)]


# --- what scoring leaves behind ------------------------------------------------------------------


def test_rerankers_that_share_a_base_do_not_disturb_each_other(reranker, pairs):
    options = [{"kind": k, "ranking_kind": r, "routing": o} for k, r, o in KINDS[2:]]
    options.append({"kind": "adapter", "routing": "split"})
    alone = [reranker(**o).score(pairs) for o in options]
    together = [reranker(**o) for o in options]
    for start in range(3):
        for scorer, expected in zip(together[start:], alone[start:], strict=True):
            assert scorer.score(pairs) == expected  # to the bit


def test_an_exception_while_scoring_leaves_the_base_as_it_was(reranker, pairs, stopped):
    scorer = reranker(routing="both")
    assert stopped(scorer, scorer.base.model, partial(scorer.score, pairs)) == (False, True)


def test_masks_are_put_on_once_for_a_composition(reranker, pairs, put_on):
    scorer = reranker(routing="both")
    found = put_on(scorer._engine)
    scorer.score(pairs)
    pairs_of_languages = [["en"], ["ky"], ["tr"], ["en", "ky"], ["en", "tr"], ["ky", "tr"]]
    assert sorted(found) == sorted(["squad", *names] for names in pairs_of_languages)


def test_when_memory_runs_out_the_budget_halves(reranker, pairs, monkeypatch):
    expected = reranker(routing="query").score(pairs)
    small = reranker(routing="query")
    forward = small._forward

    def limited(rows):
        if len(rows) > 1:
            raise torch.OutOfMemoryError
        return forward(rows)

    monkeypatch.setattr(small, "_forward", limited)
    assert small.score(pairs) == pytest.approx(expected, abs=1e-5)
    assert any("memory ran out" in note for note in small.notes)


def test_threads_may_share_a_base(reranker, pairs):
    options = [{"routing": "query"}, {"routing": "both"}, {"kind": "adapter", "routing": "split"}]
    expected = [reranker(**o).score(pairs) for o in options]
    scorers = [reranker(**o) for o in options]
    with ThreadPoolExecutor(len(scorers)) as threads:
        found = list(threads.map(lambda s: [s.score(pairs) for _ in range(4)], scorers))
    assert found == [[scores] * 4 for scores in expected]


def test_a_copy_of_a_shared_base_waits_for_its_bare_weights(reranker):
    """One reranker has its masks on while another thread makes a bf16 one of the same base."""
    scorer = reranker(routing="none")
    bare, made = copy.deepcopy(scorer.base.model).bfloat16(), []

    def build():
        made.append(reranker(routing="none", precision="bf16")._engine.encoder)

    thread = threading.Thread(target=build)
    with scorer._engine.under(scorer._engine.active(scorer._plain).masks):
        thread.start()
        thread.join(timeout=1.0)
        assert made == []
    thread.join()
    assert all(map(torch.equal, made[0].state_dict().values(), bare.state_dict().values()))


def test_bf16_stays_close_and_comes_back(reranker, pairs, as_it_was):
    exact, coarse = reranker(routing="both"), reranker(routing="both", precision="bf16")
    unchanged = as_it_was(coarse._engine.encoder)
    assert coarse._engine.encoder.dtype == torch.bfloat16
    scores = coarse.score(pairs)
    assert scores == pytest.approx(exact.score(pairs), abs=0.5) and scores != exact.score(pairs)
    assert unchanged()
    assert scores == coarse.score(pairs)


# --- what is refused -----------------------------------------------------------------------------


def test_what_does_not_fit_is_refused(reranker):
    with pytest.raises(CompositionError, match="masks cannot be routed 'split'"):
        reranker(routing="split")
    with pytest.raises(ModuleError, match="no ranking mask 'absent'"):
        reranker(ranking="absent")
    with pytest.raises(CompositionError, match="not language modules"):
        reranker(kind="full", ranking_kind="mask")


def test_a_mask_for_another_base_is_refused(tiny_base, mask_zoo, tmp_path):
    """Its tensors would fit, but it was made for other weights."""
    from dataclasses import replace

    from polyrank import Reranker
    from polyrank.base import Fingerprint

    other = replace(tiny_base, fingerprint=Fingerprint("0" * 16, "1" * 16))
    with pytest.raises(ModuleError, match="was made for base"):
        Reranker(other, kind="mask", zoo=mask_zoo)


def test_a_ranking_mask_without_a_head_is_refused(tiny_base, mask_zoo, tmp_path):
    from polyrank import Reranker
    from polyrank.modules.mask.mask_folder import save_mask_module

    module = load_mask_module(mask_zoo / tiny_base.name / "ranking" / "mask" / "bare")
    save_mask_module(
        module.differences, tmp_path / tiny_base.name / "ranking" / "mask" / "blind", module.card
    )
    with pytest.raises(ModuleError, match="has no head"):
        Reranker(tiny_base, ranking="blind", kind="mask", zoo=tmp_path)
