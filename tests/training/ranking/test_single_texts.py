"""Students that read texts one by one: values by hand, training, loading, search."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from polyrank.errors import Interrupted, ModuleError, UsageError

ARCHITECTURES = ("dot-product", "kernel-pooling")
TEXTS = ("stars are far", "sea ice melts every year when heated", "cats", "water boils")


@pytest.fixture(scope="module")
def zoo(tiny_mlm, judgements, adapter_model, save_random, tmp_path_factory):
    """A zoo with random language adapters de and en, and a module of each architecture and kind."""
    from polyrank.base import load_base

    root, base = tmp_path_factory.mktemp("zoo"), load_base(str(tiny_mlm))
    model = adapter_model(tiny_mlm)
    for seed, language in enumerate(("de", "en")):
        model.add_adapter(language, config="seq_bn_inv")
        save_random(model, language, base, root, role="language", language=language, seed=seed)
    for architecture in ARCHITECTURES:
        for kind in ("adapter", "full"):
            output = root / "tiny-mlm/ranking" / kind / architecture
            trained(tiny_mlm, judgements, output, root, architecture=architecture, kind=kind)
    return root


def trained(base, judgements, output, zoo, architecture="dot-product", steps=2, **options):
    from polyrank.training.ranking.train_ranking import train_ranking_module

    return train_ranking_module(
        str(base), *judgements, output, zoo=zoo, architecture=architecture, steps=steps,
        batch_queries=4, negatives=3, length=64, rate=3e-3, mine=1, **options,
    )  # fmt: skip


def loaded(zoo, base, architecture, kind="adapter", **options):
    from polyrank.rerankers.load import load_reranker

    folder = zoo / "tiny-mlm/ranking" / kind / architecture
    return load_reranker(folder, base=str(base), zoo=zoo, **options)


def pairs_of(query="sea ice"):
    from polyrank.collections.records import Document, Query

    asked = Query("q", query, "en")
    languages = ("de", "en")
    return [
        (asked, Document(str(i), text, language=languages[i % 2])) for i, text in enumerate(TEXTS)
    ]


def hand_kernels():
    """Only the kernels at 1 and at 0.5 count: a = (2, …, 1), b = (1, …, 0)."""
    from polyrank.modules.kernel_pooling import CENTRES, KernelPooling

    kernels = KernelPooling()
    half = CENTRES.index(0.5)
    with torch.no_grad():
        for weights, values in ((kernels.logs, (2.0, 1.0)), (kernels.means, (1.0, 0.0))):
            weights.zero_()
            weights[0], weights[half] = values
    return kernels


QUERY = torch.tensor([[1.0, 0.0]])
PASSAGE = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)], [1.0, 0.0]])  # cosines 1, ½, 1


def test_kernels_by_hand():
    """Kernel 1 counts 2 + e^−12.5, kernel ½ counts 1 + 2·e^−12.5, of a passage of 3 tokens."""
    score = hand_kernels()(QUERY, PASSAGE, torch.tensor([True]), torch.tensor([True] * 3))
    far = math.exp(-(0.5**2) / (2 * 0.1**2))
    expected = 2 * math.log2(2 + far) + math.log2(1 + 2 * far) + (2 + far) / 3
    assert score.item() == pytest.approx(expected, abs=1e-5)


def test_words_and_states_are_mixed_by_hand():
    kernels = hand_kernels()
    with torch.no_grad():
        kernels.mixer.fill_(0.25)
    mixed = kernels.mix(torch.tensor([4.0, 0.0]), torch.tensor([0.0, 4.0]))  # (1, 3), at length 1
    assert mixed.tolist() == pytest.approx([1 / math.sqrt(10), 3 / math.sqrt(10)])


def test_padding_reaches_no_kernel():
    kernels = hand_kernels()
    wide = torch.cat([PASSAGE, torch.ones(2, 2)])
    there = torch.tensor([True] * 3 + [False] * 2)
    asked = torch.cat([QUERY, torch.ones(1, 2)])
    padded = kernels(asked, wide, torch.tensor([True, False]), there)
    plain = kernels(QUERY, PASSAGE, torch.tensor([True]), torch.tensor([True] * 3))
    assert padded.item() == pytest.approx(plain.item(), abs=1e-6)


def test_margin_mse_of_dot_products_by_hand():
    """Margins 2·3 − 2·1 = 4 and 1·5 − 1·2 = 3; the teacher's are 1 and 3: (9 + 0) / 2."""
    from polyrank.training.late_interaction.token_loss import TokenLoss
    from polyrank.training.losses import parse_loss
    from polyrank.training.ranking.text_models import DotProductModel

    class Given(torch.nn.Module):
        def forward(self, ids, attended):
            return ids

        def interact(self, *vectors):
            return DotProductModel.interact(self, *vectors)

    def texts(*values):
        ids = torch.tensor(values)[:, None]
        return {"ids": ids, "attended": ids, "scored": ids}

    batch = {
        "queries": texts(2.0, 1.0),
        "passages": texts(3.0, 1.0, 5.0, 2.0),
        "place": torch.tensor([[0, 1], [2, 3]]),
        "mask": torch.ones(2, 2, dtype=torch.bool),
        "teacher": torch.tensor([[5.0, 4.0], [1.0, -2.0]]),
    }
    assert TokenLoss(parse_loss("margin_mse"))(Given(), batch).item() == pytest.approx(4.5)


def test_weights_that_all_processes_use_alike_sum_up_to_one_gradient(monkeypatch):
    from polyrank.training.loop import processes

    monkeypatch.setattr(processes, "count", lambda: 4)
    weight = torch.tensor(3.0, requires_grad=True)
    shared = processes.alike(weight)
    (shared**2).backward()
    assert shared.item() == 3 and weight.grad.item() == pytest.approx(2 * 3 / 4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_loads_like_any_ranking_module(zoo, tiny_mlm, architecture):
    from polyrank.modules.card import read_card, train_command_of

    folder = zoo / "tiny-mlm/ranking/adapter" / architecture
    card = read_card(folder)
    assert card.recipe["architecture"] == architecture
    assert card.recipe["loss"] == "pairwise_softmax+in_batch_softmax"
    assert f"--architecture {architecture}" in train_command_of(card)
    assert "load_reranker(" in (folder / "README.md").read_text()
    reranker = loaded(zoo, tiny_mlm, architecture)
    assert reranker.pointwise and "interaction.json" in reranker.identity()["ranking weights"]


@pytest.mark.parametrize("kind", ["adapter", "full"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_score_depends_on_its_own_pair_alone(zoo, tiny_mlm, architecture, kind):
    routing = {"adapter": "split", "full": "none"}[kind]
    reranker = loaded(zoo, tiny_mlm, architecture, kind, routing=routing)
    pairs = pairs_of()
    scores = reranker.score(pairs)
    assert len({round(score, 4) for score in scores}) == len(scores)
    assert reranker.score(pairs[::-1])[::-1] == pytest.approx(scores, abs=1e-5)
    assert [reranker.score([pair])[0] for pair in pairs] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_are_those_of_training(zoo, tiny_mlm, architecture):
    """Of a full model, by the transformers library and the formula."""
    from transformers import AutoModel, AutoTokenizer

    from polyrank.modules.kernel_pooling import load_kernels

    folder = zoo / "tiny-mlm/ranking/full" / architecture
    encoder, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    def states(text):
        encoded = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            hidden = encoder(**encoded).last_hidden_state
            return encoder.get_input_embeddings()(encoded["input_ids"])[0], hidden[0]

    def expected(text):
        (asked, query), (held, passage) = states("sea ice"), states(text)
        if architecture == "dot-product":
            return (query.mean(dim=0) @ passage.mean(dim=0)).item()
        kernels = load_kernels(folder)
        sides = [kernels.mix(*side)[1:-1] for side in ((asked, query), (held, passage))]
        masks = [torch.ones(len(side), dtype=torch.bool) for side in sides]
        return kernels(*sides, *masks).item()

    scores = loaded(zoo, tiny_mlm, architecture, "full", routing="none").score(pairs_of())
    assert scores == pytest.approx([expected(text) for text in TEXTS], abs=1e-4)


def test_a_dot_product_module_searches(zoo, tiny_mlm):
    """The best of all passages by the dot product, as the same module reranks them."""
    from polyrank.index.modular_dense import ModularDense

    pairs = pairs_of()
    folder = str(zoo / "tiny-mlm/ranking/adapter/dot-product")
    dense = ModularDense(
        [document for _, document in pairs], base=str(tiny_mlm), zoo=zoo, ranking=folder
    )
    (hits,) = dense.search([pairs[0][0]], depth=3).values()
    scores = dict(zip("0123", loaded(zoo, tiny_mlm, "dot-product").score(pairs), strict=True))
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:3]
    assert [hit.document_id for hit in hits] == best
    assert [hit.score for hit in hits] == pytest.approx([scores[i] for i in best], abs=1e-5)


def test_the_command_line_searches_with_it(zoo, tiny_mlm, monkeypatch):
    """Of the first stage 'dense', without language modules; BM25 has no use for it."""
    from polyrank.cli.first_stages import retriever_of, search_first
    from polyrank.cli.options import FirstStage

    from polyrank.collections.records import Collection

    pairs = pairs_of()
    texts = Collection("", {d.id: d for _, d in pairs}, {"q": pairs[0][0]})
    folder = zoo / "tiny-mlm/ranking/full/dot-product"
    retriever = str(folder), "full"
    run = search_first(texts, FirstStage.dense, str(tiny_mlm), 4, None, retriever=retriever)
    scores = loaded(zoo, tiny_mlm, "dot-product", "full", routing="none").score(pairs)
    found = {hit.document_id: hit.score for hit in run["q"]}
    assert [found[i] for i in "0123"] == pytest.approx(scores, abs=1e-5)
    assert retriever_of(folder, FirstStage.dense) == retriever
    monkeypatch.chdir(folder.parent)  # where its name alone would mean a module of the zoo
    assert retriever_of(Path(folder.name), None) == retriever
    with pytest.raises(UsageError, match="--retriever makes vectors"):
        retriever_of(folder, FirstStage.bm25)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_resumed_run_ends_where_a_whole_one_does(
    zoo, tiny_mlm, judgements, tmp_path, monkeypatch, architecture
):
    from safetensors.torch import load_file

    from polyrank.training.late_interaction.token_loss import TokenLoss
    from polyrank.training.loop import steps

    real, calls = TokenLoss.__call__, []

    def killed(self, model, batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, model, batch)

    options = {"architecture": architecture, "kind": "full", "steps": 4, "resume": True}
    monkeypatch.setattr(steps.Schedule, "save_every", 1)
    trained(tiny_mlm, judgements, tmp_path / "whole", zoo, **options)
    monkeypatch.setattr(TokenLoss, "__call__", killed)
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        trained(tiny_mlm, judgements, tmp_path / "parts", zoo, **options)
    monkeypatch.setattr(TokenLoss, "__call__", real)
    other = next(one for one in ARCHITECTURES if one != architecture)
    with pytest.raises(UsageError, match=f"architecture was '?{architecture}'?, is '?{other}"):
        trained(tiny_mlm, judgements, tmp_path / "parts", zoo, **options | {"architecture": other})
    trained(tiny_mlm, judgements, tmp_path / "parts", zoo, **options)
    for file in (tmp_path / "whole").glob("*.safetensors"):
        whole, parts = load_file(file), load_file(tmp_path / "parts" / file.name)
        assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_what_does_not_fit_is_refused(zoo, tiny_mlm, judgements, tmp_path):
    from polyrank import LateInteraction, Reranker
    from polyrank.late_interaction.pooled_vectors import DotProduct

    def train(**options):
        trained(tiny_mlm, judgements, tmp_path / "m", zoo, **options)

    with pytest.raises(UsageError, match="'mask' cannot be trained.*single-texts.*adapter, full"):
        train(kind="mask")
    with pytest.raises(UsageError, match="--views would be ignored by the architecture 'dot-prod"):
        train(views=2)
    with pytest.raises(UsageError, match="--half would be ignored"):
        train(kind="full", half=True)
    kernels = str(zoo / "tiny-mlm/ranking/adapter/kernel-pooling")
    for scorer in (Reranker, LateInteraction):
        with pytest.raises(ModuleError, match="compares texts that are read one by one"):
            scorer(str(tiny_mlm), ranking=kernels, zoo=zoo)
    with pytest.raises(ModuleError, match="is not dot-product"):
        DotProduct(str(tiny_mlm), kernels, zoo=zoo)
