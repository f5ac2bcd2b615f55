"""The teachers' scores are those of the rerankers, over any vocabulary; what the loss takes."""

import pytest
import torch

from polyrank import Reranker
from polyrank.collections.records import Document, Query
from polyrank.training.distillation import ranking_teacher as module
from polyrank.training.distillation.cross_encoders import CrossEncoderTeacher, Judge, MeanTeacher
from polyrank.training.distillation.ranking_phase import DistilledRankingLoss
from polyrank.training.distillation.state_alignment import States
from polyrank.training.distillation.teacher import (
    ModularTeacher,
    language_teacher,
    plan_of,
    ranking_teacher,
)
from polyrank.training.distillation.vocabulary import trim
from polyrank.training.losses import parse_loss

QUERY, PASSAGES = "ice melts", ["ice melts every year", "cats sleep", "stars are far away"]


@pytest.fixture
def cut(tiny_base):
    """(entries, base): without the letters that no text here has."""
    gone = {
        i
        for token, i in tiny_base.tokenizer.get_vocab().items()
        if token.removeprefix("##") in ("j", "q", "x", "z")
    }
    assert gone
    kept = [i for i in range(len(tiny_base.tokenizer)) if i not in gone]
    return kept, trim(tiny_base, kept)


def batch_of(base, mask=((True, True, True),)):
    pairs = base.tokenizer([QUERY] * 3, PASSAGES, padding=True, return_tensors="pt")
    return {"pairs": dict(pairs), "mask": torch.tensor(mask)}


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_a_trimmed_teacher_scores_as_the_whole_reranker(kind, cut, tiny_base, tiny_zoo, mask_zoo):
    """Base, language module and ranking module, where every token of the texts was kept."""
    kept, trimmed = cut
    zoo = tiny_zoo if kind == "adapter" else mask_zoo
    plan = plan_of(tiny_base, "en", kind, "error", zoo, "squad")
    teacher, head = ranking_teacher(tiny_base, trimmed, kept, plan, zoo)
    states, scores = ModularTeacher(teacher, head, "en")(batch_of(trimmed))
    whole = Reranker(tiny_base, kind=kind, routing="document", zoo=zoo, device="cpu")
    pairs = [(Query("q", QUERY, "en"), Document(t, t, language="en")) for t in PASSAGES]
    assert scores.tolist() == pytest.approx(whole.score(pairs), abs=1e-6)
    layers = tiny_base.model.config.num_hidden_layers
    assert len(states.hidden) == layers + 1 and len(states.attention) == layers
    for attention in states.attention:  # of what is not padding, a distribution
        assert attention.sum(dim=-1).allclose(torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_the_module_of_a_batchs_language_is_active(kind, cut, tiny_base, tiny_zoo, mask_zoo):
    """Its last states are those of the library's own model, or of weights with the mask added."""
    kept, trimmed = cut
    zoo = tiny_zoo if kind == "adapter" else mask_zoo
    plans = {x: plan_of(tiny_base, x, kind, "error", zoo, None) for x in ("en", "ky")}
    teacher = language_teacher(tiny_base, trimmed, kept, plans, zoo)
    inputs = batch_of(trimmed)["pairs"]
    whole = batch_of(tiny_base)["pairs"]
    real = inputs["attention_mask"].bool()
    found = {x: teacher(inputs, x).hidden[-1][real] for x in ("en", "ky", "en")}
    for language, states in found.items():
        folder = zoo / tiny_base.name / "language" / kind / language
        wanted = reference(kind, tiny_base, folder, whole)[real]
        assert (states - wanted).abs().max() <= 2e-6
    assert (found["en"] - found["ky"]).abs().max() > 1e-2


def reference(kind, base, folder, inputs):
    if kind == "adapter":
        from adapters import AutoAdapterModel

        model = AutoAdapterModel.from_pretrained(base.folder).eval()
        name = model.load_adapter(str(folder), use_safetensors=True)
        model.set_active_adapters(name)
        encoder = model.base_model
    else:
        import copy

        from polyrank.modules.mask.mask_folder import load_mask_module

        encoder = copy.deepcopy(base.model)
        weights = dict(encoder.named_parameters())
        with torch.no_grad():
            for key, part in load_mask_module(folder).differences.items():
                weights[key].view(-1)[part.indices] += part.values.float()
    with torch.no_grad():
        return encoder(**inputs).last_hidden_state


def test_a_trimmed_cross_encoder_scores_as_the_whole_one(
    cut, tiny_folder, tiny_base, cross_encoder, tmp_path
):
    from transformers import AutoModelForSequenceClassification

    kept, trimmed = cut
    model = AutoModelForSequenceClassification.from_pretrained(
        cross_encoder(tiny_folder, tmp_path / "judge"), attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        wanted = model(**batch_of(tiny_base)["pairs"]).logits.squeeze(-1)
    teacher = CrossEncoderTeacher("judge", model, tiny_base.tokenizer, tiny_base, trimmed, kept)
    states, scores = teacher(batch_of(trimmed))
    assert teacher.aligned and len(states.hidden) == 4
    assert (scores - wanted).abs().max() <= 1e-6


class Fixed:
    """Gives states or none, and these scores."""

    def __init__(self, scores, states=None):
        self.found = states, torch.tensor(scores)

    def __call__(self, batch):
        return self.found


def test_the_mean_of_teachers_by_hand():
    states = States([torch.zeros(1)], [torch.zeros(1)])
    teachers = [Fixed([0.0, 10.0, 5.0, 1.0]), Fixed([3.0, 1.0, 7.0, 8.0], states)]
    batch = {"mask": torch.tensor([[True, True, False], [True, True, False]])}
    found, scores = MeanTeacher(teachers, "raw")(batch)
    assert found is states and scores.tolist() == [1.5, 5.5, 6.0, 4.5]
    _, scores = MeanTeacher(teachers, "min-max")(batch)  # per query: 0 1 | 1 0 and 1 0 | 0 1
    assert scores.tolist() == [0.5, 0.5, 0.5, 0.5]


def test_a_single_teacher_is_scaled_too(monkeypatch):
    class One:
        name, aligned, tokenizer, head = "judges/one", True, None, None

    monkeypatch.setattr(module, "CrossEncoderTeacher", lambda *_: One())
    judge = Judge("judges/one", None, None, "")

    def made(scale):
        teacher = module.judged(None, None, [], [judge], scale)
        return type(teacher.teach), teacher.described

    assert made("raw") == (One, "cross-encoder 'one'")
    assert made("z-score") == (MeanTeacher, "cross-encoder 'one' (z-score)")


class Student(torch.nn.Module):
    def forward(self, **_):
        return type("Output", (), {"logits": torch.tensor([[3.0], [1.0], [2.0], [0.0]])})


def test_scores_of_the_rows_are_the_targets_by_hand():
    mask = torch.tensor([[True, True, False], [True, True, False]])
    batch = {"pairs": {}, "mask": mask}
    loss = DistilledRankingLoss(Fixed([5.0, 4.0, 9.0, 9.0]), parse_loss("margin_mse"))
    assert loss(Student(), batch) == 2.5  # the teacher's margins are 1, 0; the student's 2, 2
    rows = torch.tensor([[5.0, 3.0, 0.0], [4.0, 1.0, 0.0]])
    assert loss(Student(), {**batch, "teacher": rows}) == 0.5  # margins 2, 3
