"""Late-interaction training: it learns, resumes to the same bytes, moves only what it should."""

from __future__ import annotations

import json
import math

import pytest
import torch

from polyrank.errors import DataError, UsageError

SMALL = {
    "steps": 6,
    "batch_queries": 4,
    "negatives": 2,
    "dim": 16,
    "query_length": 12,
    "document_length": 40,
    "train_length": 40,
    "augment_to": 8,
    "mine": 2,
    "rate": 3e-3,
}


@pytest.fixture(scope="module")
def zoo(tiny_mlm, text_file, tmp_path_factory):
    """A zoo with the language adapters de and en, and the language mask en."""
    from polyrank.training.language.train_language import train_language_module

    root = tmp_path_factory.mktemp("zoo")
    for kind, language in (("adapter", "de"), ("adapter", "en"), ("mask", "en")):
        train_language_module(
            str(tiny_mlm), language, text_file, root / f"tiny-mlm/language/{kind}" / language,
            kind=kind, steps=2, batch_size=4, length=24, rate=1e-2,
        )  # fmt: skip
    return root


@pytest.fixture
def train(tiny_mlm, judgements, zoo):
    """train(output, **settings): on the toy judgements."""
    from polyrank.training.late_interaction.train_late_interaction import train_late_interaction

    def run(output, files=judgements, base=tiny_mlm, **options):
        settings = {"zoo": zoo, **SMALL, **options}
        return train_late_interaction(str(base), *files, output, **settings)

    return run


def tensors(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.safetensors"))}


@pytest.mark.parametrize(
    ("recipe", "kind"), [("modular", "adapter"), ("modular", "mask"), ("colbert-xm", "full")]
)
def test_it_learns_to_rank_what_it_was_trained_on(
    train, zoo, tiny_mlm, judgements, recipe, kind, tmp_path
):
    from polyrank.collections.jsonl import iter_documents, iter_queries
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.modules.card import read_card

    folder = tmp_path / "toy"
    train(folder, recipe=recipe, kind=kind, steps=40, average=2)
    model = LateInteraction(str(tiny_mlm), str(folder), kind, zoo=zoo, device="cpu")
    passages = list(iter_documents(judgements[1], "en"))
    first = [model.rank(q, passages)[0].document_id for q in iter_queries(judgements[0], "en")]
    assert sum(place == f"p{i}" for i, place in enumerate(first)) >= 8  # chance is 1 of 12
    card = read_card(folder)
    assert card.parent is not None and card.parent.name == "en"
    assert card.recipe["recipe"] == recipe and card.recipe["steps"] == 40
    assert card.recipe["markers"] == [model.rules.query_marker, model.rules.document_marker]
    assert "pr.LateInteraction(" in (folder / "README.md").read_text()
    assert not (tmp_path / "toy.work").exists()


def test_only_what_should_move_moves(tiny_mlm, train, tmp_path):
    """ColBERT-XM: embeddings stay, attention and feed-forward move."""
    from polyrank.base import load_base
    from polyrank.modules.full import load_full_encoder

    train(tmp_path / "toy", recipe="colbert-xm")
    before = load_base(str(tiny_mlm)).model.state_dict()
    after = load_full_encoder(tmp_path / "toy").state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith("encoder.layer.") for name in moved)
    assert moved >= {n for n in after if n.endswith(("query.weight", "output.dense.weight"))}


def test_a_mask_changes_k_coordinates_and_is_the_average_of_its_snapshots(
    train, zoo, tiny_mlm, tmp_path
):
    """base + language mask + ranking mask = the mean of the weights at the last two snapshots."""
    from polyrank.base import load_base
    from polyrank.modules.mask.mask_folder import load_mask_module
    from polyrank.modules.mask.sparse import apply
    from polyrank.training.loop import averaging
    from polyrank.training.loop.lottery_ticket import Sparsity

    kept = {}
    with pytest.MonkeyPatch.context() as patch:
        load = averaging.load_file
        patch.setattr(averaging, "load_file", lambda p: kept.setdefault(p.name, load(p)))
        card = train(tmp_path / "li", kind="mask", steps=14, average=2, sparsity=Sparsity(500, 3))
    assert (card.recipe["k"], card.recipe["full_steps"], card.recipe["steps"]) == (500, 3, 14)
    module = load_mask_module(tmp_path / "li")
    assert len(module) <= 500 and module.head is None  # one that did not move at all is kept as 0
    assert set(kept) == {"4.safetensors", "14.safetensors"}
    encoder = load_base(str(tiny_mlm)).model
    apply(encoder, load_mask_module(zoo / "tiny-mlm/language/mask/en").differences)
    start = {name: tensor.clone() for name, tensor in encoder.named_parameters()}
    apply(encoder, module.differences)
    moved = 0
    for name, tensor in encoder.named_parameters():
        mean = torch.stack([kept[place][f"model.{name}"] for place in sorted(kept)]).mean(0)
        assert torch.allclose(tensor, mean, atol=1e-4), name  # the mask is kept in fp16
        moved += int((mean != start[name]).sum())
    assert 0 < moved <= 500


@pytest.mark.parametrize(
    "recipe",
    ["mask", *(pytest.param(x, marks=pytest.mark.slow) for x in ("modular", "colbert-xm"))],
)
def test_a_killed_run_resumes_to_the_same_bytes(train, tmp_path, monkeypatch, recipe):
    from polyrank.training.late_interaction import train_late_interaction
    from polyrank.training.loop.lottery_ticket import Sparsity

    schedule = train_late_interaction.Schedule
    monkeypatch.setattr(
        train_late_interaction, "Schedule", lambda **kw: schedule(**{**kw, "save_every": 3})
    )
    kinds = (
        {"kind": "mask", "sparsity": Sparsity(500, 4)} if recipe == "mask" else {"recipe": recipe}
    )
    options = {**kinds, "steps": 8, "average": 1, "chunk": 3}
    train(tmp_path / "whole" / "li", **options)

    loss, calls = train_late_interaction.TokenLoss.__call__, []

    def killed(self, model, batch):
        calls.append(1)
        if len(calls) == (10 if recipe == "mask" else 6):  # of a mask, in the second phase
            raise KeyboardInterrupt
        return loss(self, model, batch)

    monkeypatch.setattr(train_late_interaction.TokenLoss, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "halves" / "li", **options)
    monkeypatch.setattr(train_late_interaction.TokenLoss, "__call__", loss)
    card = train(tmp_path / "halves" / "li", resume=True, **options)
    assert tensors(tmp_path / "halves" / "li") == tensors(tmp_path / "whole" / "li")
    assert card.recipe["steps"] == 8


def test_a_frozen_base_needs_no_place_in_a_checkpoint(train, tmp_path, monkeypatch):
    from polyrank.training.loop import steps

    seen = {}

    def stop(model, *args, **kw):
        seen["held"], seen["whole"] = model.state_dict(), dict(model.named_parameters())
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "fit", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "li")
    assert set(seen["held"]) == {n for n, p in seen["whole"].items() if p.requires_grad}
    assert any(".adapters.li." in name for name in seen["held"])


@pytest.mark.parametrize("chunk", [1, 3, 5])
def test_gradient_caching_gives_the_gradient_of_the_whole_batch(tiny_mlm, judgements, zoo, chunk):
    from polyrank.base import load_base
    from polyrank.collections.jsonl import iter_documents
    from polyrank.late_interaction.marked_text import MarkedText
    from polyrank.late_interaction.skiplist import skipped_ids
    from polyrank.training.examples.negatives import Example, read_examples
    from polyrank.training.late_interaction.token_batches import TokenBatches
    from polyrank.training.late_interaction.token_loss import TokenLoss
    from polyrank.training.late_interaction.token_model import default_rules, token_model
    from polyrank.training.losses import parse_loss

    base = load_base(str(tiny_mlm))
    rules = default_rules(base, dim=16, query_length=12, augment_to=8)
    passages = {d.id: d for d in iter_documents(judgements[1], "en")}
    examples = [
        Example(e.query, e.positives, tuple(i for i in passages if i not in e.positives)[:2])
        for e in read_examples(judgements[0])
    ]
    skipped = skipped_ids(base.tokenizer, rules, base.model.config.vocab_size + 2)
    text = MarkedText(base.tokenizer, rules, 94)
    batch = TokenBatches(examples, passages, text, skipped, 4, 2, 13)(0)
    gradients = []
    for size in (0, chunk):
        torch.manual_seed(3)
        model, _ = token_model(base, rules, "adapter", "x", "en", None, 2, zoo)
        TokenLoss(parse_loss("contrastive", in_batch=True), size)(model, batch).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    whole, cached = gradients
    assert set(whole) == set(cached) and len(whole) > 8
    for name, gradient in whole.items():
        assert torch.allclose(cached[name], gradient, rtol=1e-4, atol=1e-6), name


def test_a_shared_passage_is_no_negative_of_the_other_question(tiny_mlm):
    from polyrank.base import load_base
    from polyrank.collections.records import Document, Query
    from polyrank.late_interaction.marked_text import MarkedText
    from polyrank.late_interaction.skiplist import skipped_ids
    from polyrank.training.examples.negatives import Example
    from polyrank.training.late_interaction.token_batches import TokenBatches
    from polyrank.training.late_interaction.token_model import default_rules

    base = load_base(str(tiny_mlm))
    passages = {i: Document(i, t) for i, t in {"a": "ice melts in june", "b": "stars"}.items()}
    examples = [
        Example(Query("q", "when"), ("a",), ("b",), answers=("June",)),
        Example(Query("r", "what melts"), ("a",), ("b",)),
    ]
    rules = default_rules(base, query_length=12, augment_to=8)
    skipped = skipped_ids(base.tokenizer, rules, base.model.config.vocab_size + 2)
    text = MarkedText(base.tokenizer, rules, 94)
    batch = TokenBatches(examples, passages, text, skipped, 2, 1, 13)(0)
    assert batch["allowed"].tolist() == [[True, True, False, True], [False, True, True, True]]
    assert batch["place"].tolist() == [[0, 1], [2, 3]]


def test_the_average_of_snapshots(tmp_path):
    from types import SimpleNamespace

    from polyrank.training.loop.averaging import Snapshots

    model = torch.nn.Linear(1, 1, bias=False)
    frozen = torch.nn.Linear(1, 1, bias=False).requires_grad_(False)
    both = torch.nn.ModuleList([model, frozen])
    kept = Snapshots(tmp_path / "s", steps=30, count=3, apart=10)
    for step in range(1, 31):
        with torch.no_grad():
            model.weight.fill_(step)
        kept.on_step_end(None, SimpleNamespace(global_step=step), None, model=both)
    before = frozen.weight.clone()
    kept.average_into(both)
    assert model.weight.item() == 20.0  # of 10, 20 and 30
    assert torch.equal(frozen.weight, before)


def test_distillation_from_a_cross_encoder(train, zoo, tiny_mlm, judgements, tmp_path):
    from polyrank.training.ranking.train_ranking import train_ranking_module

    with pytest.raises(DataError, match="needs 'pos_score'"):
        train(tmp_path / "li", loss="min-max-kl")
    teacher = tmp_path / "zoo/tiny-mlm/ranking/adapter/teacher"
    train_ranking_module(
        str(tiny_mlm), *judgements, teacher, steps=2, batch_queries=2, negatives=2, length=64,
        zoo=zoo,
    )  # fmt: skip
    card = train(tmp_path / "li", loss="min-max-kl", teacher=str(teacher))
    assert card.recipe["teacher"] == str(teacher)


def test_xmod(train, judgements, tiny_xmod, tmp_path):
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.modules.full import load_full_encoder

    with pytest.raises(UsageError, match="colbert-xm"):
        train(tmp_path / "li", base=tiny_xmod)
    for over in ("de", ""):  # it would run the module of the source all the same
        with pytest.raises(UsageError, match="(?s)inside for 'en', so --over.*Leave --over out"):
            train(tmp_path / "li", base=tiny_xmod, recipe="colbert-xm", over=over)
    assert not (tmp_path / "li.work").exists()
    train(tmp_path / "li", base=tiny_xmod, recipe="colbert-xm")
    before = load_full_encoder(tiny_xmod).state_dict()
    after = load_full_encoder(tmp_path / "li").state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved and not any("adapter" in name or "embeddings" in name for name in moved)
    model = LateInteraction(str(tiny_xmod), str(tmp_path / "li"), "full", device="cpu")
    assert model.rank("abc", ["abc", "de"], "ky", "de")


def test_options_that_do_not_fit(train, tmp_path):
    for options, message in (
        ({"recipe": "all"}, "unknown recipe"),
        ({"kind": "full"}, "trains adapter or mask, not 'full'"),
        ({"loss": "hinges"}, "unknown loss"),
        ({"train_length": 160}, "reads: 94"),
        ({"average": 0}, "snapshots"),
    ):
        with pytest.raises(UsageError, match=message):
            train(tmp_path / "li", **options)
    assert not (tmp_path / "li.work").exists()


# --- losses --------------------------------------------------------------------------------------


def test_pairwise_softmax_by_hand():
    from polyrank.training.losses import pairwise_softmax

    scores = torch.tensor([[math.log(3.0), 0.0, 50.0]])
    mask = torch.tensor([[True, True, False]])
    assert pairwise_softmax(scores, None, mask).item() == pytest.approx(-math.log(3 / 4), abs=1e-6)


def test_in_batch_softmax_by_hand():
    from polyrank.training.losses import in_batch_softmax

    scores = torch.tensor([[0.0, math.log(2.0), 9.0], [0.0, 0.0, 0.0]])
    allowed = torch.tensor([[True, True, False], [True, True, True]])
    expected = (-math.log(2 / 3) - math.log(1 / 3)) / 2
    found = in_batch_softmax(scores, torch.tensor([1, 2]), allowed)
    assert found.item() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="positive"):
        in_batch_softmax(scores, torch.tensor([2, 2]), allowed)


def test_kl_by_hand():
    from polyrank.training.losses import kl

    scores = torch.tensor([[0.0, 0.0, 7.0]])  # 1/2, 1/2
    teacher = torch.tensor([[math.log(3.0), 0.0, -7.0]])  # 3/4, 1/4
    mask = torch.tensor([[True, True, False]])
    expected = 3 / 4 * math.log(3 / 2) + 1 / 4 * math.log(1 / 2)
    assert kl(scores, teacher, mask).item() == pytest.approx(expected, abs=1e-6)


def test_min_max_kl_sees_only_the_shape_of_the_scores():
    from polyrank.training.losses import kl, min_max_kl

    scores, teacher = torch.tensor([[30.0, 10.0, 20.0]]), torch.tensor([[1.0, 0.0, 0.5]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert min_max_kl(scores, teacher, mask).item() == pytest.approx(0.0, abs=1e-7)
    expected = kl(torch.tensor([[0.0, 1.0, 0.5]]), teacher, mask)
    found = min_max_kl(torch.tensor([[1.0, 3.0, 2.0]]), 4 * teacher - 9, mask)
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_command_line(judgements, tiny_mlm, zoo, polyrank, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYRANK_ZOO", str(zoo))
    arguments = ["train", "late-interaction", "--base", tiny_mlm, "--queries", judgements[0],
                 "--passages", judgements[1], "--output", tmp_path / "li", "--steps", "2",
                 "--batch-queries", "2", "--mine", "2", "--train-length", "40",
                 "--document-length", "40"]  # fmt: skip
    result = polyrank(*arguments)
    assert result.exit_code == 0, result.output
    rules = json.loads((tmp_path / "li" / "late_interaction.json").read_text())
    assert (rules["dim"], rules["document_length"]) == (128, 40)
    again = polyrank(*arguments)
    assert again.exit_code == 2 and "exists already" in again.output
