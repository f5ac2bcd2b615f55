"""Modules of either kind on either layout, or any cross-encoder, as the teacher; a stop in phase 2;
attention that gives its probabilities."""

from functools import partial

import pytest
import torch

import polyrank as pr
from polyrank.training.bilingual import distil as module
from polyrank.training.bilingual.distil import General, Task

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


def classifier(base, folder):
    """A random cross-encoder of one logit over a base's vocabulary."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = AutoConfig.from_pretrained(base, num_labels=1)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


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
    teacher, aligned, tiny_bert, request, distil, capsys, tmp_path
):
    judge = classifier(request.getfixturevalue(teacher), tmp_path / "judge")
    folder, card = distil(tiny_bert, teacher=str(judge), fallback="none")
    assert card.teacher == "cross-encoder 'judge'"
    assert ("its scores are distilled, not its states" in capsys.readouterr().err) != aligned
    assert len(pr.CrossEncoder(folder).rank(QUERY, PASSAGES)) == 3


def test_a_stop_inside_phase_2_costs_the_steps_since_the_last_checkpoint(
    tiny_bert, distil, monkeypatch, tmp_path
):
    judge = str(classifier(tiny_bert, tmp_path / "judge"))
    monkeypatch.setattr(module, "Schedule", partial(module.Schedule, save_every=1))
    again = partial(distil, tiny_bert, "again", teacher=judge, fallback="none")
    whole, _ = distil(tiny_bert, "whole", teacher=judge, fallback="none")

    calls, real = [], module.DistilledRankingLoss.__call__

    def stopping(self, model, batch):
        calls.append(batch)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(module.DistilledRankingLoss, "__call__", stopping)
        with pytest.raises(KeyboardInterrupt):
            again()
        resumed, _ = again(resume=True)
    assert len(calls) == 4  # the third step alone was run again
    for name in ("model.safetensors", "tokenizer.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("student", ["full", "adapter"])
def test_nothing_runs_attention_that_hides_its_probabilities(
    student, tiny_bert, distil, monkeypatch, tmp_path
):
    from adapters.models.bert import modeling_bert as adapted
    from transformers.models.bert import modeling_bert as plain

    for kind in (plain.BertSdpaSelfAttention, adapted.BertSdpaSelfAttentionWithAdapters):

        def asked(self, *args, real=kind.forward, output_attentions=False, **kwargs):
            assert not output_attentions  # mining negatives asks for none
            return real(self, *args, **kwargs)

        monkeypatch.setattr(kind, "forward", asked)
    judge = classifier(tiny_bert, tmp_path / "judge")
    distil(tiny_bert, student=student, teacher=str(judge), fallback="none")
