"""Multi-view reranking: scores and loss by hand, training, resuming, loading, order of a list."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from polyrank.errors import Interrupted, ModuleError, UsageError

KINDS = ("adapter", "full")


@pytest.fixture(scope="module")
def zoo(tiny_mlm, judgements, adapter_model, save_random, tmp_path_factory):
    """A zoo with random language adapters de and en, and multi-view modules of both kinds."""
    from polyrank.base import load_base

    root, base = tmp_path_factory.mktemp("zoo"), load_base(str(tiny_mlm))
    model = adapter_model(tiny_mlm)
    for seed, language in enumerate(("de", "en")):
        model.add_adapter(language, config="seq_bn_inv")
        save_random(model, language, base, root, role="language", language=language, seed=seed)
    for kind in KINDS:
        trained(tiny_mlm, judgements, root / "tiny-mlm/ranking" / kind / "views", root, kind=kind)
    return root


def trained(base, judgements, output, zoo, steps=2, **options):
    from polyrank.training.ranking.train_ranking import train_ranking_module

    return train_ranking_module(
        str(base), *judgements, output, zoo=zoo, architecture="multi-view", steps=steps,
        batch_queries=4, negatives=3, length=64, rate=3e-3, mine=1, **options,
    )  # fmt: skip


def hand_head():
    """Two views of width 2 whose attention is the mean of what it sees."""
    from polyrank.modules.multi_view import MultiViewHead

    head = MultiViewHead(width=2, views=2, heads=1)
    with torch.no_grad():
        head.start.zero_()
        head.attention.in_proj_weight.zero_()  # no query, no key: all weights alike
        head.attention.in_proj_weight[4:] = torch.eye(2)  # values as they are
        head.attention.in_proj_bias.zero_()
        head.attention.out_proj.weight.copy_(torch.eye(2))
        head.attention.out_proj.bias.zero_()
    return head


# Two passages and padding; views last: the first view's mean is (3, 1), the second's (0, 2).
VECTORS = torch.tensor([[[[4.0, 0], [0, 0]], [[2, 2], [0, 4]], [[99, 99], [99, 99]]]])
MASK = torch.tensor([[True, True, False]])


def test_scores_by_hand():
    scores, anchors = hand_head()(VECTORS, MASK)
    # LayerNorm of (3, 1) is (1, -1), of (0, 2) is (-1, 1)
    expected = torch.tensor([[[1.0, -1], [-1, 1]]])
    assert torch.allclose(anchors, expected, atol=1e-4)
    # passage 1: ((4 - 0) + (0 + 0)) / 2 / √2; passage 2: ((2 - 2) + (-0 + 4)) / 2 / √2
    assert torch.allclose(scores[0, :2], torch.tensor([2.0, 2.0]) / math.sqrt(2), atol=1e-4)


def test_padding_reaches_no_score():
    from polyrank.modules.multi_view import MultiViewHead

    torch.manual_seed(0)
    head = MultiViewHead(width=8, views=3, heads=2)
    vectors, mask = torch.randn(2, 4, 3, 8), torch.ones(2, 4, dtype=torch.bool)
    wider = torch.cat([vectors, torch.randn(2, 2, 3, 8) * 9], dim=1)
    more = torch.cat([mask, torch.zeros(2, 2, dtype=torch.bool)], dim=1)
    assert torch.allclose(head(vectors, mask)[0], head(wider, more)[0][:, :4], atol=1e-6)


def test_orthogonality_by_hand():
    from polyrank.training.ranking.multi_view_loss import orthogonality

    apart = torch.tensor([[2.0, 0], [0, 5]])
    alike = torch.tensor([[1.0, 0], [3, 0]])  # cosine 1, off the diagonal twice
    between = torch.tensor([[1.0, 0], [1, 1]])  # cosine 1/√2: 2 · 1/2
    assert orthogonality(torch.stack([apart, alike, between])).item() == pytest.approx(
        (0 + 2 + 1) / 3, abs=1e-6
    )


def test_the_loss_by_hand_has_one_softmax():
    """Scores √2 and √2 with the positive first: log 2 at any temperature; anchors opposite: 2."""
    from polyrank.training.losses import parse_loss
    from polyrank.training.ranking.multi_view_loss import MultiViewLoss

    class Given(torch.nn.Module):
        head = hand_head()

        def forward(self, pairs):
            return pairs["vectors"]

    loss = MultiViewLoss(parse_loss("infonce(temperature=0.8)"), weight=0.5)
    batch = {"pairs": {"vectors": VECTORS[MASK]}, "mask": MASK}
    assert loss(Given(), batch).item() == pytest.approx(math.log(2) + 0.5 * 2, abs=1e-4)
    vectors = VECTORS.clone()
    vectors[0, 0, 0, 0] = 8  # the first view's mean is (5, 1), its anchor still (1, -1)
    # scores (8 + 0) / 2 / √2 and 4 / 2 / √2: a difference of √2, once through softmax at 0.8
    expected = math.log1p(math.exp(-math.sqrt(2) / 0.8)) + 0.5 * 2
    batch = {"pairs": {"vectors": vectors[MASK]}, "mask": MASK}
    assert loss(Given(), batch).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_it_loads_like_any_ranking_module(zoo, tiny_mlm, kind):
    from polyrank.modules.card import read_card, train_command_of
    from polyrank.rerankers.load import load_reranker
    from polyrank.rerankers.multi_view import MultiViewReranker

    folder = zoo / "tiny-mlm/ranking" / kind / "views"
    card = read_card(folder)
    assert (card.recipe["architecture"], card.recipe["views"]) == ("multi-view", 4)
    assert card.recipe["loss"] == "infonce(temperature=0.8)"
    assert "--architecture multi-view" in train_command_of(card)
    assert "load_reranker(" in (folder / "README.md").read_text()
    reranker = load_reranker(folder, zoo=zoo, base=str(tiny_mlm), routing="none")
    assert isinstance(reranker, MultiViewReranker) and not reranker.pointwise
    assert "multi_view.safetensors" in reranker.identity()["ranking weights"]


def test_scores_are_those_of_training(zoo, tiny_mlm):
    """What the library's stack computed in training, over the language adapter of all tokens."""
    from adapters import AutoAdapterModel
    from adapters.composition import Stack
    from transformers import AutoTokenizer

    from polyrank.collections.records import Document, Query
    from polyrank.modules.multi_view import load_multi_view
    from polyrank.rerankers.load import load_reranker
    from polyrank.training.ranking.multi_view_model import MultiViewModel

    folder = zoo / "tiny-mlm/ranking/adapter/views"
    library = AutoAdapterModel.from_pretrained(str(tiny_mlm))
    library.load_adapter(str(zoo / "tiny-mlm/language/adapter/de"), use_safetensors=True)
    library.load_adapter(str(folder), use_safetensors=True)
    library.set_active_adapters(Stack("de", "views"))
    model = MultiViewModel(library, views=4).eval()
    model.head = load_multi_view(folder)
    passages = ["stars are far", "sea ice melts every year", "cats"]
    encoded = AutoTokenizer.from_pretrained(str(tiny_mlm))(
        ["sea ice"] * 3, passages, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected, _ = model.head(model(encoded)[None], torch.ones(1, 3, dtype=torch.bool))
    reranker = load_reranker(folder, base=str(tiny_mlm), zoo=zoo, routing="split")
    query = Query("q", "sea ice", "de")
    pairs = [(query, Document(str(i), text, language="de")) for i, text in enumerate(passages)]
    assert reranker.score(pairs) == pytest.approx(expected[0].tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_candidates_has_no_effect(zoo, tiny_mlm, kind):
    """And the languages and length of the others have none beyond the list's anchors."""
    from polyrank.collections.records import Document, Query
    from polyrank.rerankers.base import Request
    from polyrank.rerankers.load import load_reranker

    folder = zoo / "tiny-mlm/ranking" / kind / "views"
    reranker = load_reranker(folder, base=str(tiny_mlm), zoo=zoo)
    texts = ["stars are far", "sea ice melts every year when heated", "cats", "water boils"]
    documents = tuple(
        Document(str(i), text, language=("de", "en")[i % 2]) for i, text in enumerate(texts)
    )
    query = Query("q", "sea ice", "en")
    ranking = reranker.rank_request(Request(query, documents))
    pairs = [(query, document) for document in documents]
    there, back = reranker.score(pairs), reranker.score(pairs[::-1])[::-1]  # sorted by nobody
    assert there == pytest.approx(back, abs=1e-5)
    assert ranking.hits == reranker.rank_request(Request(query, documents[::-1])).hits
    fewer = reranker.rank_request(Request(query, documents[:2]))
    scores = {hit.document_id: hit.score for hit in ranking.hits}
    assert any(hit.score != scores[hit.document_id] for hit in fewer.hits)  # it is listwise
    other = replace(query, id="r", text="cats sleep")
    both = [(each, document) for document in documents for each in (query, other)]
    assert reranker.score(both)[::2] == pytest.approx([scores[d.id] for d in documents], abs=1e-5)


@pytest.mark.slow
def test_a_resumed_run_ends_where_a_whole_one_does(
    zoo, tiny_mlm, judgements, tmp_path, monkeypatch
):
    """Interrupted after two of four steps; the checkpoint holds what moves alone."""
    from safetensors.torch import load_file

    from polyrank.training.loop import steps
    from polyrank.training.ranking import multi_view_loss

    real, calls = multi_view_loss.MultiViewLoss.__call__, []

    def killed(self, model, batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, model, batch)

    options = {"steps": 4, "resume": True}
    monkeypatch.setattr(steps.Schedule, "save_every", 1)
    trained(tiny_mlm, judgements, tmp_path / "whole", zoo, **options)
    monkeypatch.setattr(multi_view_loss.MultiViewLoss, "__call__", killed)
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        trained(tiny_mlm, judgements, tmp_path / "parts", zoo, **options)
    monkeypatch.setattr(multi_view_loss.MultiViewLoss, "__call__", real)
    with pytest.raises(UsageError, match="views was 4, is 2"):
        trained(tiny_mlm, judgements, tmp_path / "parts", zoo, views=2, **options)
    trained(tiny_mlm, judgements, tmp_path / "parts", zoo, **options)
    whole, parts = (
        load_file(tmp_path / run / "multi_view.safetensors") for run in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_what_does_not_fit_is_refused(zoo, tiny_mlm, judgements, tmp_path):
    from polyrank import Reranker
    from polyrank.errors import CompositionError
    from polyrank.rerankers.load import load_reranker
    from polyrank.rerankers.multi_view import MultiViewReranker
    from polyrank.training.ranking.train_ranking import train_ranking_module

    def train(**options):
        trained(tiny_mlm, judgements, tmp_path / "m", zoo, **options)

    with pytest.raises(UsageError, match="'mask' cannot be trained.*multi-view.*adapter, full"):
        train(kind="mask")
    with pytest.raises(UsageError, match="--half would be ignored"):
        train(kind="full", half=True)
    with pytest.raises(UsageError, match="0 views"):
        train(views=0)
    with pytest.raises(UsageError, match="beside 40 tokens of its own: 54"):
        train(views=40)
    with pytest.raises(UsageError, match="--views would be ignored by the architecture 'cross"):
        train_ranking_module(str(tiny_mlm), *judgements, tmp_path / "m", views=2)
    with pytest.raises(UsageError, match="unknown architecture 'views'"):
        train_ranking_module(str(tiny_mlm), *judgements, tmp_path / "m", architecture="views")
    assert not (tmp_path / "m.work").exists()
    views = zoo / "tiny-mlm/ranking/adapter/views"
    with pytest.raises(ModuleError, match="multi-view: it scores whole lists"):
        Reranker(str(tiny_mlm), ranking=str(views), zoo=zoo)
    with pytest.raises(CompositionError, match="no language modules"):
        load_reranker(
            zoo / "tiny-mlm/ranking/full/views", base=str(tiny_mlm), zoo=zoo, routing="split"
        )
    train_ranking_module(
        str(tiny_mlm), *judgements, tmp_path / "cross", zoo=zoo, steps=1, batch_queries=2,
        length=64, mine=1,
    )  # fmt: skip
    with pytest.raises(ModuleError, match="is not multi-view"):
        MultiViewReranker(str(tiny_mlm), ranking=str(tmp_path / "cross"), zoo=zoo)
