"""Modules of either kind on either layout, or any cross-encoder, as the teacher; a stop in phase 2;
attention that gives its probabilities."""

from functools import partial
from itertools import count

import pytest

import polyrank as pr
from polyrank.errors import ModuleError, UsageError
from polyrank.training.distillation.distil import General, Task
from polyrank.training.distillation.general import GeneralLoss
from polyrank.training.distillation.ranking_phase import DistilledRankingLoss
from polyrank.training.loop import steps

QUERY, PASSAGES = "ice melts", ["ice melts every year", "cats sleep", "stars are far away"]


@pytest.fixture
def distil(text_file, judgements, tmp_path):
    """distil(base, name, student, **options) -> (folder, card)."""

    def run(base, name="small", student="full", **options):
        queries, passages = judgements
        card = pr.distill_bilingual(
            str(base), "en", "ky", (text_file, text_file), tmp_path / name,
            queries=queries, passages=passages, factor=3,
            general=General(steps=2, batch_size=2, length=16),
            task=Task(student=student, steps=3, batch_queries=2, negatives=2, length=48, mine=2),
            **options,
        )  # fmt: skip
        return tmp_path / name, card

    return run


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_modules_of_either_kind_on_either_layout(kind, tiny_folder, tiny_zoo, mask_zoo, distil):
    zoo = tiny_zoo if kind == "adapter" else mask_zoo
    folder, card = distil(tiny_folder, kind=kind, zoo=zoo)
    assert card.teacher == f"ranking {kind} 'squad' over the language {kind} 'en'"
    assert len(card.layers) == 1
    hits = pr.CrossEncoder(folder).rank(QUERY, PASSAGES)
    assert len({hit.score for hit in hits}) == 3


@pytest.mark.parametrize(("teacher", "aligned"), [("tiny_bert", True), ("tiny_xlmr", False)])
def test_any_cross_encoder_may_teach(
    teacher, aligned, tiny_bert, request, distil, cross_encoder, capsys, tmp_path
):
    judge = cross_encoder(request.getfixturevalue(teacher), tmp_path / "judge")
    folder, card = distil(tiny_bert, teacher=str(judge), fallback="none")
    assert card.teacher == "cross-encoder 'judge'"
    assert ("its scores are distilled, not its states" in capsys.readouterr().err) != aligned
    assert len(pr.CrossEncoder(folder).rank(QUERY, PASSAGES)) == 3


@pytest.mark.parametrize(
    ("phase", "student", "stop", "run"),
    [  # in phase 1 also asked for on held-out text, four times before the steps and four after
        (GeneralLoss, "full", 4 + 2, 4 + 2 + 4 + 1 + 4),
        pytest.param(DistilledRankingLoss, "full", 3, 3 + 1, marks=pytest.mark.slow),
        pytest.param(DistilledRankingLoss, "adapter", 3, 3 + 1, marks=pytest.mark.slow),
        (DistilledRankingLoss, "mask", 5, 5 + 2),  # its fifth step is the second of the sparse 3
    ],
)
def test_a_stop_costs_the_steps_since_the_last_checkpoint(
    phase, student, stop, run, tiny_bert, distil, cross_encoder, monkeypatch, tmp_path
):
    """On a clock by which every step takes longer than the minutes between checkpoints."""
    judge = str(cross_encoder(tiny_bert, tmp_path / "judge"))
    settings = {"student": student, "teacher": judge, "fallback": "none"}
    whole, _ = distil(tiny_bert, "whole/small", **settings)

    monkeypatch.setattr(steps, "SaveByClock", partial(steps.SaveByClock, clock=ticking()))
    calls, real = [], phase.__call__

    def stopping(self, model, batch):
        calls.append(batch)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return real(self, model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(phase, "__call__", stopping)
        with pytest.raises(KeyboardInterrupt):
            distil(tiny_bert, "again/small", **settings)
        resumed, _ = distil(tiny_bert, "again/small", resume=True, **settings)
    assert len(calls) == run
    names = [path.relative_to(whole) for path in whole.rglob("*") if path.name in WRITTEN]
    assert len(names) >= 2
    for name in names:
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name


WRITTEN = ("model.safetensors", "adapter.safetensors", "model_head.safetensors", "tokenizer.json")


def ticking():
    """A clock that every look puts four minutes on."""
    minutes = count(step=4)
    return lambda: 60.0 * next(minutes)


def test_checkpoints_by_the_clock():
    from transformers import TrainerControl

    now = [0.0]
    clock = steps.SaveByClock(3, clock=lambda: now[0])
    asked = []
    clock.on_train_begin(None, None, TrainerControl())
    for second in (60, 179, 180, 240, 360):
        now[0], control = float(second), TrainerControl()
        clock.on_step_end(None, None, control)
        asked.append(control.should_save)
        if control.should_save:
            clock.on_save(None, None, control)
    assert asked == [False, False, True, False, True]


def test_several_cross_encoders_teach_together(
    tiny_bert, tiny_xlmr, distil, cross_encoder, capsys, tmp_path
):
    judges = [
        str(cross_encoder(base, tmp_path / name))
        for base, name in ((tiny_xlmr, "other"), (tiny_bert, "like"))
    ]
    folder, card = distil(tiny_bert, teacher=judges, teacher_scale="z-score", fallback="none")
    assert card.teacher == "the mean (z-score) of cross-encoder 'other', cross-encoder 'like'"
    told = capsys.readouterr().err
    assert "other' has another vocabulary" in told and "like' has another" not in told
    assert len(pr.CrossEncoder(folder).rank(QUERY, PASSAGES)) == 3
    with pytest.raises(UsageError, match="named twice"):
        distil(tiny_bert, "twice", teacher=[judges[0]] * 2, fallback="none")
    with pytest.raises(UsageError, match="only scores can be distilled"):
        distil(tiny_bert, "rows", teacher=judges[0], row_scores=True, fallback="none")


def test_a_teacher_that_cannot_read_the_pairs_is_refused_before_anything_is_computed(
    tiny_bert, tiny_xlmr, distil, cross_encoder, tmp_path
):
    from transformers import AutoConfig

    short = AutoConfig.from_pretrained(tiny_xlmr, num_labels=1, max_position_embeddings=40)
    judge = cross_encoder(tiny_xlmr, tmp_path / "judge", short)
    with pytest.raises(UsageError, match="--pair-length 48 is more than the teacher .* reads: 38"):
        distil(tiny_bert, teacher=str(judge), fallback="none")
    with pytest.raises(ModuleError, match="cannot be read"):
        distil(tiny_bert, teacher=str(tmp_path / "nowhere"), fallback="none")
    assert not (tmp_path / "small.work").exists()


@pytest.mark.parametrize("student", ["full", "adapter"])
def test_nothing_runs_attention_that_hides_its_probabilities(
    student, tiny_bert, distil, cross_encoder, monkeypatch, tmp_path
):
    from adapters.models.bert import modeling_bert as adapted
    from transformers.models.bert import modeling_bert as plain

    for kind in (plain.BertSdpaSelfAttention, adapted.BertSdpaSelfAttentionWithAdapters):

        def asked(self, *args, real=kind.forward, output_attentions=False, **kwargs):
            assert not output_attentions  # mining negatives asks for none
            return real(self, *args, **kwargs)

        monkeypatch.setattr(kind, "forward", asked)
    judge = cross_encoder(tiny_bert, tmp_path / "judge")
    distil(tiny_bert, student=student, teacher=str(judge), fallback="none")
