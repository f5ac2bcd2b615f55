"""Ranking modules: they learn, both kinds score, negatives are wrong passages, losses by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from polyrank.errors import DataError, UsageError


@pytest.fixture(scope="module")
def zoo(tiny_mlm, text_file, judgements, tmp_path_factory):
    """A zoo with language modules de and en, and ranking modules of every kind."""
    from polyrank.training.language.train_language import train_language_module
    from polyrank.training.ranking.train_ranking import train_ranking_module

    root = tmp_path_factory.mktemp("zoo")
    modules = root / "tiny-mlm"
    for language, kind in (("de", "adapter"), ("en", "adapter"), ("en", "mask")):
        train_language_module(
            str(tiny_mlm), language, text_file, modules / "language" / kind / language, kind=kind,
            steps=4, batch_size=4, length=24, rate=1e-2,
        )  # fmt: skip
    for kind in ("adapter", "mask", "full"):
        train_ranking_module(
            str(tiny_mlm), *judgements, modules / "ranking" / kind / "toy", kind=kind, zoo=root,
            steps=60, batch_queries=4, negatives=3, length=64, rate=3e-3,
        )  # fmt: skip
    return root


@pytest.mark.parametrize("kind", ["adapter", "mask", "full"])
def test_it_learns_to_rank_what_it_was_trained_on(zoo, tiny_mlm, judgements, kind):
    from polyrank import Reranker
    from polyrank.collections.jsonl import iter_documents, iter_queries

    reranker = Reranker(str(tiny_mlm), ranking="toy", kind=kind, routing="none", zoo=zoo)
    passages = list(iter_documents(judgements[1], "en"))
    first = [
        reranker.rank(query, passages)[0].document_id for query in iter_queries(judgements[0], "en")
    ]
    right = sum(place == f"p{i}" for i, place in enumerate(first))
    assert right >= 4  # chance is 1 of 12


def test_a_full_model_in_half_of_the_bytes(tiny_mlm, judgements, tmp_path):
    """Trained alike, it is half as large, says so, and scores the same in fp32."""
    from polyrank import Reranker
    from polyrank.modules.card import read_card
    from polyrank.modules.full import load_full_module
    from polyrank.training.ranking.train_ranking import train_ranking_module

    scores, sizes = {}, {}
    for half in (False, True):
        folder = tmp_path / str(half) / "toy"
        train_ranking_module(
            str(tiny_mlm), *judgements, folder, kind="full", half=half,
            steps=2, batch_queries=4, negatives=3, length=64, rate=3e-3,
        )  # fmt: skip
        reranker = Reranker(str(tiny_mlm), ranking=str(folder), kind="full", routing="none")
        hits = reranker.rank("abc de", ["abc de fgh", "x y", "de", "fgh ij k"])
        scores[half] = [h.score for h in sorted(hits, key=lambda hit: hit.document_id)]
        sizes[half] = (folder / "model.safetensors").stat().st_size
        encoder, _ = load_full_module(folder)
        assert encoder.dtype == torch.float32  # computed in full
    deviation = float(np.std(scores[False]))
    assert 0 < np.abs(np.subtract(scores[True], scores[False])).max() < 0.02 * deviation
    assert sizes[True] < 0.55 * sizes[False]
    stored = read_card(tmp_path / "True" / "toy").recipe["stored"]
    assert stored["dtype"] == "float16" and "computed in fp32" in stored["note"]
    assert "stored" not in read_card(tmp_path / "False" / "toy").recipe
    with pytest.raises(
        UsageError, match="--half would be ignored with the kind 'adapter'.*use the kind full"
    ):
        train_ranking_module(str(tiny_mlm), *judgements, tmp_path / "no", half=True)


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_the_card_names_the_parent(zoo, kind):
    from polyrank.modules.card import read_card

    card = read_card(zoo / "tiny-mlm/ranking" / kind / "toy")
    below = read_card(zoo / "tiny-mlm/language" / kind / "en")
    assert card.parent is not None
    assert (card.parent.name, card.parent.sha256) == ("en", below.files[f"{kind}.safetensors"])
    assert card.recipe["steps"] == 60 and card.recipe["loss"] == "infonce"


def test_a_ranking_mask_is_the_difference_to_base_and_english_mask(
    zoo, tiny_mlm, judgements, tmp_path, monkeypatch
):
    """What was trained is rebuilt densely: base + English difference + ranking difference."""
    from polyrank.base import load_base
    from polyrank.modules.mask.mask_folder import load_mask_module
    from polyrank.training.loop import lottery_ticket
    from polyrank.training.ranking import train_ranking

    trained = {}

    def kept(model, *rest, **options):
        differences, facts = real(model, *rest, **options)
        trained.update({n: p.detach().clone() for n, p in model.base_model.named_parameters()})
        return differences, facts

    real = lottery_ticket.train_sparse
    monkeypatch.setattr(lottery_ticket, "train_sparse", kept)
    train_ranking.train_ranking_module(
        str(tiny_mlm), *judgements, tmp_path / "toy", kind="mask", zoo=zoo,
        steps=6, batch_queries=4, negatives=3, length=64, rate=3e-3,
    )  # fmt: skip
    masks = [
        load_mask_module(folder).differences
        for folder in (zoo / "tiny-mlm/language/mask/en", tmp_path / "toy")
    ]
    assert all(masks)
    for name, weight in load_base(str(tiny_mlm)).model.named_parameters():
        rebuilt = weight.detach() + sum(mask[name].dense() for mask in masks if name in mask)
        # the stored differences are fp16: of at most .02, so within 2^-11 of that
        assert torch.allclose(rebuilt, trained[name], atol=1e-5), name


def test_scores_equal_the_stack_of_the_library(zoo, tiny_mlm, judgements):
    from adapters import AutoAdapterModel
    from adapters.composition import Stack
    from transformers import AutoTokenizer

    from polyrank import Reranker
    from polyrank.collections.records import Document, Query

    model = AutoAdapterModel.from_pretrained(str(tiny_mlm))
    model.load_adapter(str(zoo / "tiny-mlm/language/adapter/de"), use_safetensors=True)
    model.load_adapter(str(zoo / "tiny-mlm/ranking/adapter/toy"), use_safetensors=True)
    model.set_active_adapters(Stack("de", "toy"))
    model.active_head = "toy"
    encoded = AutoTokenizer.from_pretrained(str(tiny_mlm))(
        "sea ice", "stars are far", return_tensors="pt"
    )
    with torch.no_grad():
        expected = model.eval()(**encoded).logits.item()
    reranker = Reranker(str(tiny_mlm), ranking="toy", routing="document", zoo=zoo)
    pair = (Query("q", "sea ice", "en"), Document("d", "stars are far", language="de"))
    assert reranker.score([pair])[0] == pytest.approx(expected, abs=1e-5)


def test_mined_negatives_do_not_answer(tiny_mlm):
    from polyrank.base import load_base
    from polyrank.collections.records import Document, Query
    from polyrank.training.examples.negatives import Example, mine_negatives

    texts = {
        "a": "ice melts in may",
        "b": "ice melts in june",
        "c": "ice is cold",
        "d": "stars are far",
    }
    passages = {i: Document(i, text) for i, text in texts.items()}
    example = Example(Query("q", "when does ice melt"), ("a",), answers=("June",))
    (mined,) = mine_negatives([example], passages, load_base(str(tiny_mlm)), each=4, depth=4)
    assert set(mined.negatives) == {"c", "d"}  # a is the positive, b holds an answer


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "r", "text": "ice", "pos": "zz"}', "'zz' is not among the passages"),
        ('{"_id": "q", "text": "ice", "pos": "p1"}', "the id 'q' stands on two lines"),
        ('{"_id": "r", "text": "ice"}', "no ranking example"),
        ('{"_id": "r", "text": "ice", "pos": []}', "'pos' is missing or empty"),
        ('{"_id": "r", "text": "ice", "pos": ["p1"', "no ranking example"),
        (
            '{"_id": "r", "text": "a", "pos": ["p1", "p2"], "neg": ["p3"], "pos_score": 1, '
            '"neg_scores": [0]}',
            "2 positives and 1 negatives have 2 scores",
        ),
    ],
)
def test_a_bad_line_is_named(tiny_mlm, judgements, tmp_path, line, message):
    from polyrank.training.ranking.train_ranking import train_ranking_module

    first = json.dumps({"_id": "q", "text": "ice", "pos": "p0"})
    (tmp_path / "q.jsonl").write_text(f"{first}\n\n{line}\n")
    with pytest.raises(DataError, match=rf"q.jsonl:3: .*{message}"):
        train_ranking_module(
            str(tiny_mlm), tmp_path / "q.jsonl", judgements[1], tmp_path / "m", length=64
        )


def test_one_answer_may_be_a_string(tmp_path):
    from polyrank.training.examples.negatives import read_examples

    row = {"_id": "q", "text": "when", "pos": "p", "neg": "n", "answers": "June"}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    (example,) = read_examples(tmp_path / "q.jsonl")
    assert (example.positives, example.negatives, example.answers) == (("p",), ("n",), ("June",))


def test_options_that_do_not_fit(tiny_mlm, judgements, tmp_path):
    from polyrank.training.ranking.train_ranking import train_ranking_module

    def train(name="m", **options):
        train_ranking_module(str(tiny_mlm), *judgements, tmp_path / name, **options)

    with pytest.raises(DataError, match=r"queries.jsonl:1: the loss needs"):
        train(loss="margin-mse", length=64)
    with pytest.raises(UsageError, match="unknown loss"):
        train(loss="hinges")
    with pytest.raises(UsageError, match="reads: 94"):
        train(length=160)
    with pytest.raises(UsageError, match="holds a dot"):
        train(name="squad.v2")
    assert not (tmp_path / "m.work").exists()


# --- losses ------------------------------------------------------------------------------------


def test_margin_mse_by_hand():
    from polyrank.training.losses import margin_mse

    scores, teacher = torch.tensor([[3.0, 1.0, 9.0]]), torch.tensor([[5.0, 4.0, 0.0]])
    mask = torch.tensor([[True, True, False]])  # the third candidate is padding
    assert margin_mse(scores, teacher, mask) == 1.0  # ((3-1) - (5-4))² = 1


def test_info_nce_by_hand():
    from polyrank.training.losses import info_nce

    scores = torch.tensor([[math.log(3.0), 0.0, 50.0]])
    mask = torch.tensor([[True, True, False]])
    assert info_nce(scores, None, mask).item() == pytest.approx(-math.log(3 / 4), abs=1e-6)


def test_pointwise_by_hand():
    from polyrank.training.losses import pointwise

    scores = torch.tensor([[math.log(3.0), 0.0, 50.0]])  # sigmoid: 3/4 and 1/2
    mask = torch.tensor([[True, True, False]])
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert pointwise(scores, None, mask).item() == pytest.approx(expected, abs=1e-6)
