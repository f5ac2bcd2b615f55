"""The engine in the process: padding, batches, a shared prefix and memory change nothing."""

import math

import pytest
import torch

from polyrank.errors import ModuleError, UsageError
from polyrank.rerankers.llm.engines.base import Sampling, Token
from polyrank.rerankers.llm.engines.local import TransformersEngine

TEXTS = ["water boils", "the river", "yes", "does the water of the river boil at hundred degrees?"]


def prompts_of(engine, before="question: does water boil at hundred degrees?\npassage: "):
    special = engine.encoder_decoder
    return [
        tuple(engine.tokenizer(before + text, add_special_tokens=special)["input_ids"])
        for text in TEXTS
    ]


def tokens_of(engine, words=("yes", "no")):
    return [
        Token(word, engine.tokenizer(word, add_special_tokens=False)["input_ids"][-1])
        for word in words
    ]


def plain_logits(engine, prompt, tokens):
    """The whole model on one prompt without padding, cache or selected rows."""
    ids = torch.tensor([list(prompt)])
    with torch.inference_mode():
        if engine.encoder_decoder:
            logits = engine.model(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits
        else:
            logits = engine.model(input_ids=ids).logits
    return [float(logits[0, -1, token.id]) for token in tokens]


def close(left, right, within=1e-5):
    return all(
        abs(a - b) <= within
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(scope="module")
def any_engine(any_model):
    return TransformersEngine(any_model, device="cpu")


def test_logits_are_those_of_the_plain_model(any_engine):
    prompts, tokens = prompts_of(any_engine), tokens_of(any_engine)
    expected = [plain_logits(any_engine, prompt, tokens) for prompt in prompts]
    assert len({round(row[0], 4) for row in expected}) == len(expected)  # they do differ
    assert close(any_engine.logits(prompts, tokens), expected)


@pytest.mark.parametrize("budget", [1, 60, 130, 100_000])
def test_batches_change_nothing(any_model, any_engine, budget):
    prompts, tokens = prompts_of(any_engine), tokens_of(any_engine)
    small = TransformersEngine(any_model, device="cpu", batch_tokens=budget)
    assert close(small.logits(prompts, tokens), any_engine.logits(prompts, tokens))


def test_order_changes_nothing(any_engine):
    prompts, tokens = prompts_of(any_engine), tokens_of(any_engine)
    turned = any_engine.logits(prompts[::-1], tokens)[::-1]
    assert close(turned, any_engine.logits(prompts, tokens))


def test_a_shared_prefix_changes_nothing_but_the_work(any_model, any_engine):
    prompts, tokens = prompts_of(any_engine), tokens_of(any_engine)
    apart = TransformersEngine(any_model, device="cpu", share_prefix=False)
    before = any_engine.usage
    assert close(any_engine.logits(prompts, tokens), apart.logits(prompts, tokens))
    assert apart.usage.cached_tokens == 0
    spared = (any_engine.usage - before).cached_tokens
    assert (spared > 20) == (not any_engine.encoder_decoder)  # an encoder reads both ways


def test_prompts_that_are_equal_share_all_but_the_last_token(engine):
    prompt = prompts_of(engine)[0]
    before = engine.usage
    rows = engine.logits([prompt, prompt], tokens_of(engine))
    assert close([rows[0]], [rows[1]])
    assert (engine.usage - before).cached_tokens == len(prompt) - 1


@pytest.mark.parametrize("share", [True, False])
def test_answers_do_not_depend_on_the_batch(any_model, share):
    engine = TransformersEngine(any_model, device="cpu", share_prefix=share)
    prompts, sampling = prompts_of(engine), Sampling(max_tokens=7)
    together = engine.generate(prompts, sampling)
    alone = [engine.generate([prompt], sampling)[0] for prompt in prompts]
    assert [a.text for a in together] == [a.text for a in alone]
    assert close([a.logprobs for a in together], [a.logprobs for a in alone], 1e-4)


def test_answers_are_those_of_transformers(any_engine):
    engine, (prompt, *_) = any_engine, prompts_of(any_engine)
    (answer,) = engine.generate([prompt], Sampling(max_tokens=6))
    with torch.inference_mode():
        ids = engine.model.generate(
            torch.tensor([list(prompt)]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=6,
            do_sample=False,
            pad_token_id=0,
        )[0]
    new = ids[1:] if engine.encoder_decoder else ids[len(prompt) :]
    assert answer.text == engine.tokenizer.decode(new, skip_special_tokens=True)
    assert "".join(answer.pieces) == answer.text


def test_a_logprob_is_that_of_its_token(engine):
    prompt = prompts_of(engine)[1]
    (answer,) = engine.generate([prompt], Sampling(max_tokens=1))
    with torch.inference_mode():
        logits = engine.model(input_ids=torch.tensor([list(prompt)])).logits[0, -1]
    assert math.isclose(answer.logprobs[0], float(logits.log_softmax(0).max()), abs_tol=1e-5)
    assert answer.cut


def test_sampling_is_seeded_by_prompt_and_not_by_batch(engine):
    prompts = prompts_of(engine)
    warm = Sampling(max_tokens=6, temperature=1.5, seed=3)
    together = [answer.text for answer in engine.generate(prompts, warm)]
    assert [engine.generate([prompt], warm)[0].text for prompt in prompts] == together
    other = Sampling(max_tokens=6, temperature=1.5, seed=4)
    assert [answer.text for answer in engine.generate(prompts, other)] != together


def test_a_stop_ends_an_answer(engine):
    prompt = prompts_of(engine)[0]
    (long,) = engine.generate([prompt], Sampling(max_tokens=8))
    stop = next(piece for piece in long.pieces[1:] if piece.strip())
    (short,) = engine.generate([prompt], Sampling(max_tokens=8, stop=(stop,)))
    assert short.text.endswith(stop) and long.text.startswith(short.text) and not short.cut


def test_memory_that_runs_out_halves_the_batch(llama, monkeypatch):
    engine = TransformersEngine(llama, device="cpu", share_prefix=False)
    engine.even = 0.0  # all lengths in one batch
    prompts, tokens = prompts_of(engine), tokens_of(engine)
    expected, start, sizes = engine.logits(prompts, tokens), engine._start, []

    def full(rows, prefix=None):
        sizes.append(len(rows))
        if len(rows) > 1:
            raise torch.OutOfMemoryError("no memory")
        return start(rows, prefix)

    monkeypatch.setattr(engine, "_start", full)
    assert close(engine.logits(prompts, tokens), expected)
    assert sizes[:2] == [4, 2] and sizes[-1] == 1
    assert engine.notebook.notes.of_kind("memory").total() == 2


def test_logits_of_16_bit_weights_are_32_bit(llama):
    engine = TransformersEngine(llama, device="cpu", precision="bf16")
    rows = engine.logits(prompts_of(engine), tokens_of(engine))
    values = torch.tensor(rows)
    assert not torch.equal(values, values.bfloat16().float())  # they hold more than 8 bits
    assert engine.identity()["precision"] == "bf16"


def test_a_sliding_window_shares_no_prefix(qwen3):
    engine = TransformersEngine(qwen3, device="cpu")
    engine._window = 10
    engine.logits(prompts_of(engine), tokens_of(engine))
    assert engine.usage.cached_tokens == 0


def test_size_and_identity(engine, llama):
    parameters, held = engine.size()
    assert held == 4 * parameters > 10_000
    assert engine.identity() == TransformersEngine(llama, device="cpu").identity()
    assert "model.safetensors" in engine.identity()["model weights"]


def test_what_is_no_language_model_is_refused(tmp_path, llama):
    with pytest.raises(ModuleError, match="cannot be read"):
        TransformersEngine(tmp_path)
    with pytest.raises(UsageError, match="unknown precision"):
        TransformersEngine(llama, precision="int3")


def test_code_of_a_model_is_refused(llama, tmp_path):
    import json
    import shutil

    folder = tmp_path / "evil"
    shutil.copytree(llama, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "x.Y"}})
    )
    with pytest.raises(ModuleError, match="names code to run"):
        TransformersEngine(folder)
