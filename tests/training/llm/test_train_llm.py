"""Trainings from end to end on a random Llama: what they write, resume, and teach."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.errors import DataError, Interrupted, UsageError
from polyrank.rerankers.base import Request
from polyrank.rerankers.load import load_reranker
from polyrank.training.llm.objectives import OBJECTIVES
from polyrank.training.llm.recipe import LowRank, Policy
from polyrank.training.llm.train_llm import train_llm_reranker


@pytest.fixture
def trained(llama, rows, tmp_path):
    """trained(name, ...) → the folder of a training of two steps, and its card."""
    queries, passages = rows

    def run(name="out", **options):
        options = {"steps": 2, "batch_queries": 2, "negatives": 2, "rate": 1e-2, **options}
        output = tmp_path / name
        own = options.pop("queries", queries)
        card = train_llm_reranker(str(llama), own, passages, output, **options)
        return output, card

    return run


@pytest.fixture
def short(tmp_path):
    """A prompt without a chat template, whose labels are tokens of the tiny tokenizer."""
    path = tmp_path / "short.yaml"
    path.write_text(
        'scorer: label\nframe: plain\nprefix: "Question: {query}\\n"\n'
        'document: "Passage: {text}\\n"\nsuffix: "Answers the question:"\nlabels: ["yes", "no"]\n'
    )
    return str(path)


def _weights(folder):
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def _request(passages):
    documents = tuple(Document(d.id, d.text, language="en") for d in passages.values())
    return Request(Query("q", "does water boil", "en"), documents)


def test_the_folder_is_a_reranker_with_its_prompt(trained, passages, short):
    output, card = trained(prompt=short, document_tokens=5, held_out=1)
    assert (card.scorer, card.prompt.name) == ("label", "short")
    assert card.figures["held-out questions"] == 1
    assert 1 / 3 <= card.figures["RR"] <= 1
    assert not output.with_name("out.work").exists()
    reranker = load_reranker(str(output))
    assert reranker.prompt == card.prompt
    assert reranker.options["document_tokens"] == 5
    again = load_reranker({"model": str(output), "options": {"scorer": "label"}})
    ours = reranker.rank_request(_request(passages))
    assert again.rank_request(_request(passages)).hits == ours.hits


def test_labels_are_read_by_sentence_transformers(trained, passages, short):
    """Its template gives the tokens of the prompt, for texts that need no guarding."""
    from jinja2 import Environment

    from polyrank.rerankers.llm.logit_score import read_logit_score

    output, _ = trained(prompt=short)
    folder = read_logit_score(output)
    template = Environment().from_string((output / "chat_template.jinja").read_text())
    turns = [
        {"role": "query", "content": "does it?"},
        {"role": "document", "content": 'so "it" {{'},
    ]
    assert template.render(messages=turns) == (
        'Question: does it?\nPassage: so "it" {{\nAnswers the question:'
    )
    tokenizer = load_reranker(str(output)).engine.tokenizer
    assert [token.text for token in folder.tokens(tokenizer)] == ["yes", "no"]


def test_lists_are_as_long_as_in_training(trained):
    output, card = trained(objective="letters")
    reranker = load_reranker(str(output))
    assert (reranker.window, reranker.step) == (3, 1)
    wider = load_reranker({"model": str(output), "options": {"scorer": "letters", "window": 10}})
    assert (wider.window, wider.step) == (10, 5)


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "label"])
def test_every_objective_trains_and_ranks(trained, rows, tmp_path, passages, objective):
    scale = OBJECTIVES[objective].load().scale
    options = {"objective": objective, "steps": 1}
    if objective == "memory":
        options["prompt"] = "label"  # its own has labels that the tiny tokenizer splits
    if scale is not None:  # the rows' scores are 0 to 5; evidence needs 0 to 1
        lines = [json.loads(line) for line in rows[0].read_text().splitlines()]
        for line in lines:
            for key in ("pos_scores", "neg_scores"):
                line[key] = [score / 5 if not scale.whole else score for score in line[key]]
        graded = tmp_path / "graded.jsonl"
        graded.write_text("".join(json.dumps(line) + "\n" for line in lines))
        options["queries"] = graded
    output, _ = trained(**options)
    ranking = load_reranker(str(output)).rank_request(_request(passages))
    assert {hit.document_id for hit in ranking.hits} == set(passages)


def test_a_training_learns_its_rows(trained, examples, passages, short):
    output, _ = trained(loss="infonce", prompt=short, steps=40, rate=1e-2)
    reranker = load_reranker(str(output))
    for example in examples:
        documents = tuple(passages[name] for name in example.candidates)
        ranking = reranker.rank_request(Request(example.query, documents))
        assert ranking.hits[0].document_id == example.positives[0]


def test_a_killed_run_ends_with_the_same_weights(trained, monkeypatch, tmp_path):
    from polyrank.training.llm import train_llm

    whole, _ = trained("whole", steps=3)

    class Killed(train_llm.LLMLoss):
        calls = 0

        def __call__(self, model, batch):
            Killed.calls += 1
            if Killed.calls == 3:
                raise KeyboardInterrupt
            return super().__call__(model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(train_llm, "LLMLoss", Killed)
        patch.setattr(train_llm, "Schedule", _saves_often(train_llm.Schedule))
        with pytest.raises(Interrupted, match="--resume goes on from step 2"):
            trained("cut", steps=3)
    assert not (tmp_path / "cut").exists()
    cut, _ = trained("cut", steps=3, resume=True)
    ours, theirs = _weights(cut), _weights(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _saves_often(schedule):
    return lambda **options: schedule(save_every=1, **options)


def test_a_resume_with_another_prompt_is_refused(trained, monkeypatch, short):
    from polyrank.training.llm import train_llm

    with monkeypatch.context() as patch:
        patch.setattr(train_llm.LLMTraining, "prepare", _interrupted)
        with pytest.raises(Interrupted):
            trained("cut")
    with pytest.raises(UsageError, match="prompt was label .*, is short"):
        trained("cut", prompt=short, resume=True)


def _interrupted(*_):
    raise Interrupted("stopped")


def test_accumulated_batches_are_one_step(trained, llama):
    """Two batches of one question give the mean gradient of one batch of two."""
    together, _ = trained("a", loss="infonce", batch_queries=2)
    apart, _ = trained("b", loss="infonce", batch_queries=1, accumulate=2)
    ours, theirs, start = _weights(together), _weights(apart), _weights(llama)
    moved = torch.cat([(ours[name] - start[name]).flatten() for name in ours])
    gap = torch.cat([(ours[name] - theirs[name]).flatten() for name in ours])
    assert moved.abs().max() > 5e-3  # the rate is 1e-2
    # Adam divides by the gradient's size, so rounding shows where the gradient is next to nothing.
    assert (gap.abs() < 1e-4).float().mean() > 0.99


def test_low_rank_updates_alone_or_merged(trained, passages, llama):
    pytest.importorskip("peft")
    alone, card = trained("alone", lora=LowRank(4, 8), rate=1e-2)
    assert card.recipe["lora"] == "rank 4, alpha 8"
    assert {path.name for path in alone.glob("*.safetensors")} == {"adapter_model.safetensors"}
    merged, _ = trained("merged", lora=LowRank(4, 8, merge=True), rate=1e-2)
    assert (merged / "model.safetensors").is_file()
    ours = load_reranker(str(alone)).rank_request(_request(passages))
    theirs = load_reranker(str(merged)).rank_request(_request(passages))
    for one, other in zip(ours.hits, theirs.hits, strict=True):
        assert one.document_id == other.document_id
        assert one.score == pytest.approx(other.score, abs=1e-4)
    untrained = load_reranker({"model": str(llama), "options": {"scorer": "label"}})
    before = untrained.rank_request(_request(passages))
    assert ours.hits[0].score != pytest.approx(before.hits[0].score, abs=1e-4)


def test_checkpointing_changes_no_weight(trained):
    plain, _ = trained("plain")
    saved, _ = trained("saved", checkpointing=True)
    ours, theirs = _weights(plain), _weights(saved)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)


def test_rows_without_scores_are_refused_where_they_are_needed(llama, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"_id":"p1","text":"a"}\n{"_id":"p2","text":"b"}\n')
    (tmp_path / "q.jsonl").write_text('{"_id":"q1","text":"c","pos":"p1","neg":"p2"}\n')
    with pytest.raises(DataError, match="q.jsonl:1.*neg_scores"):
        train_llm_reranker(
            str(llama), tmp_path / "q.jsonl", tmp_path / "p.jsonl", tmp_path / "o", "letters"
        )


def test_a_loss_without_scores_is_refused(trained):
    """A prompt that reasons has no logits to compare: nothing would be learned, in silence."""
    with pytest.raises(UsageError, match="--loss none --generation 1"):
        trained(objective="setwise", prompt="setwise-reason")
    _, card = trained(
        objective="setwise", prompt="setwise-reason", loss="none", generation=1.0, steps=1
    )
    assert (card.recipe["loss"], card.recipe["generation"]) == ("none", 1.0)


def test_an_encoder_decoder_is_refused(rows, save_language_model, chat_tokenizer, tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=len(chat_tokenizer), d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    folder = save_language_model(T5ForConditionalGeneration, config, chat_tokenizer)
    with pytest.raises(UsageError, match="encoder–decoder"):
        train_llm_reranker(str(folder), *rows, tmp_path / "o")


def test_turns_are_a_question(llama, tmp_path):
    from polyrank.training.examples.negatives import read_examples

    path = tmp_path / "q.jsonl"
    row = {"_id": "q1", "turns": ["Where?", "In Oslo.", "When?"], "pos": "p1"}
    path.write_text(json.dumps(row) + "\n")
    (example,) = read_examples(path)
    assert example.query.text == "User: Where?\nAssistant: In Oslo.\nUser: When?"
    path.write_text(json.dumps({**row, "turns": ["Where?", "Oslo."]}) + "\n")
    with pytest.raises(DataError, match="q.jsonl:1.*odd"):
        read_examples(path)


@pytest.mark.slow
def test_a_reward_rises(llama, rows, tmp_path):
    """GRPO on a toy task: a bare label after each prompt, and the right one."""
    pytest.importorskip("trl")
    queries, passages = rows
    card = train_llm_reranker(
        str(llama), queries, passages, tmp_path / "out", "label", steps=40, batch_queries=2,
        negatives=1, rate=5e-3, policy=Policy("relevance", answers=8, tokens=2), seed=3,
    )  # fmt: skip
    before, after = card.recipe["mean reward"]
    assert after > before + 0.3
    assert card.recipe["reward"] == "relevance"
    reranker = load_reranker(str(tmp_path / "out"))
    assert reranker.prompt.name == "label-binary"


def test_a_killed_reward_training_ends_with_the_same_weights(llama, rows, tmp_path, monkeypatch):
    pytest.importorskip("trl")
    from polyrank.training.llm import by_reward

    def run(name, resume=False):
        train_llm_reranker(
            str(llama), *rows, tmp_path / name, "label", steps=3, batch_queries=1, negatives=1,
            rate=1e-3, policy=Policy("relevance", answers=2, tokens=2), resume=resume,
        )  # fmt: skip
        return _weights(tmp_path / name)

    monkeypatch.setattr(by_reward, "SAVE_EVERY", 1)
    whole = run("whole")
    rewarded = by_reward._judged

    def killed(reward, prompt):
        judge, calls = rewarded(reward, prompt), []

        def cut(**columns):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return judge(**columns)

        return cut

    with monkeypatch.context() as patch:
        patch.setattr(by_reward, "_judged", killed)
        with pytest.raises(Interrupted, match="--resume"):
            run("cut")
    ours = run("cut", resume=True)
    shutil.rmtree(tmp_path / "cut")
    assert all(torch.equal(ours[name], whole[name]) for name in whole)
