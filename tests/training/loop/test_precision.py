"""Under bf16 autocast, which a training opens, the scores of teacher and student are fp32."""

import pytest
import torch

from polyrank.encoders.routed import score
from polyrank.modules.full import head_of
from polyrank.training.distillation.cross_encoders import CrossEncoderTeacher
from polyrank.training.distillation.ranking_phase import DistilledRankingLoss
from polyrank.training.distillation.student import adapter_student
from polyrank.training.distillation.teacher import ModularTeacher, plan_of, ranking_teacher
from polyrank.training.loop.precision import head_in_fp32
from polyrank.training.ranking.ranking_loss import RankingLoss

PASSAGES = ["ice melts every year", "cats sleep", "stars are far away"]


def autocast():
    return torch.autocast("cpu", torch.bfloat16)


def in_bf16(tensor):
    """Whether all values are among the few that bf16 has."""
    return torch.equal(tensor.float(), tensor.bfloat16().float())


@pytest.fixture
def batch(tiny_base):
    pairs = tiny_base.tokenizer(["ice melts"] * 3, PASSAGES, padding=True, return_tensors="pt")
    return {"pairs": dict(pairs), "mask": torch.tensor([[True, True, True]])}


@pytest.fixture
def judge(tiny_folder, cross_encoder, tmp_path):
    from transformers import AutoModelForSequenceClassification

    folder = cross_encoder(tiny_folder, tmp_path / "judge")
    return AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()


class Kept:
    """A loss that keeps what it was given."""

    needs_teacher = True

    def __call__(self, scores, teacher, mask):
        self.scores, self.teacher = scores, teacher
        return (scores - teacher).square().mean()


@pytest.mark.parametrize("form", ["full", "adapter"])
def test_the_head_is_fp32_and_the_encoder_is_not(form, judge, batch, tiny_base):
    model = judge if form == "full" else adapter_student(tiny_base, "new", head_of(judge), 2).eval()
    options = {**batch["pairs"], "output_hidden_states": True}
    with torch.no_grad():
        exact = model(**options)
        with autocast():
            plain = model(**options)
            with head_in_fp32(model):
                found = model(**options)
    assert in_bf16(plain.logits) and not in_bf16(found.logits)
    last = found.hidden_states[-1]
    assert torch.equal(last, plain.hidden_states[-1])
    assert not torch.equal(last.float(), exact.hidden_states[-1])
    wanted = score(last, head_of(judge))
    assert (found.logits.squeeze(-1) - wanted).abs().max() < 1e-6
    assert not any("forward" in vars(module) for module in model.modules())


def test_scores_reach_a_distillation_in_fp32(judge, batch, tiny_base):
    kept = list(range(len(tiny_base.tokenizer)))
    teacher = CrossEncoderTeacher("judge", judge, tiny_base.tokenizer, tiny_base, tiny_base, kept)
    loss = DistilledRankingLoss(teacher, Kept())
    expected = teacher(batch)[1]
    with autocast():
        loss(judge, batch).backward()
    assert loss.loss.teacher.flatten().tolist() == expected.tolist()
    assert not in_bf16(loss.loss.scores)
    assert (loss.loss.scores[0] - expected).abs().max() < 0.02  # it is the teacher itself, in bf16
    grads = {name for name, p in judge.named_parameters() if p.grad is not None and p.grad.any()}
    assert any("classifier" in n for n in grads) and any("attention" in n for n in grads)


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_a_teacher_of_modules_too(kind, judge, batch, tiny_base, tiny_zoo, mask_zoo):
    zoo = tiny_zoo if kind == "adapter" else mask_zoo
    plan = plan_of(tiny_base, "en", kind, "error", zoo, "squad")
    kept = list(range(len(tiny_base.tokenizer)))
    teacher = ModularTeacher(*ranking_teacher(tiny_base, tiny_base, kept, plan, zoo), "en")
    loss = DistilledRankingLoss(teacher, Kept())
    expected = teacher(batch)[1]
    with autocast(), torch.no_grad():
        loss(judge, batch)
    assert loss.loss.teacher.flatten().tolist() == expected.tolist()


def test_a_ranking_loss_of_a_teacher_compares_fp32(judge, batch):
    kept = Kept()
    with autocast(), torch.no_grad():
        RankingLoss(kept)(judge, {**batch, "teacher": torch.tensor([[1.0, 0.0, 0.5]])})
    assert not in_bf16(kept.scores)
    kept.needs_teacher = False  # labels alone: as the bundled modules were trained
    with autocast(), torch.no_grad():
        RankingLoss(kept)(judge, {**batch, "teacher": torch.tensor([[1.0, 0.0, 0.5]])})
    assert in_bf16(kept.scores)
