"""One call for every scorer, with options that are checked."""

import subprocess
import sys

import pytest

from polyrank.errors import UsageError
from polyrank.rerankers.llm import SCORERS, load_llm_reranker
from polyrank.rerankers.llm.scorers import SHARED


def test_a_folder_and_a_scorer_are_enough(any_model, ask, ids):
    scorer = "label"
    prompt = "label-t5" if "t5" in str(any_model) else None
    reranker = load_llm_reranker(any_model, scorer, prompt, device="cpu")
    ranking = reranker.rank_request(ask(["water boils", "the river"]))
    assert sorted(ids(ranking)) == ["d0", "d1"]


def test_t5_scores_by_the_first_token_of_its_decoder(t5, ask):
    import torch

    reranker = load_llm_reranker(t5, "label", "label-t5", device="cpu")
    (hit,) = reranker.rank_request(ask(["water boils"])).hits
    tokenizer, model = reranker.engine.tokenizer, reranker.engine.model
    ids = tokenizer(
        "Query: does water boil Document: water boils Relevant:", return_tensors="pt"
    ).input_ids
    with torch.inference_mode():
        logits = model(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits[0, -1]
    yes, no = (tokenizer(w, add_special_tokens=False).input_ids[0] for w in ("true", "false"))
    assert hit.score == pytest.approx(float(logits[yes] - logits[no]), abs=1e-5)


def test_the_table_names_arguments_of_the_classes():
    import inspect

    from polyrank.rerankers.llm.reranker import LLMReranker

    shared = set(inspect.signature(LLMReranker.__init__).parameters)
    assert set(SHARED) <= shared
    for name, entry in SCORERS.items():
        kind = entry.load()
        assert kind.scorer == name and kind.default_prompt == entry.prompt
        assert kind.pointwise == entry.pointwise
        arguments = inspect.signature(kind.__init__).parameters
        for base in kind.__mro__:
            if "__init__" in vars(base):
                arguments = {**inspect.signature(base.__init__).parameters, **arguments}
        for option, entry_of in entry.options.items():
            assert option in arguments and entry_of.help
            assert arguments[option].default == entry_of.default


def test_the_table_needs_no_torch():
    code = (
        "import sys; from polyrank.rerankers.llm import SCORERS, load_llm_reranker; "
        "from polyrank.rerankers.llm.prompt import load_prompt, prompt_names; "
        "[load_prompt(name) for name in prompt_names()]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"scorer": "leters"}, "unknown scorer 'leters'"),
        ({"scorer": "label", "window": 5}, "the scorer 'label' has no option 'window'"),
        ({"scorer": "letters", "prompt": "setwise"}, "is for the scorer 'setwise'"),
        ({"scorer": "letters", "window": 4, "step": 4}, "a step of 4 with a window of 4"),
        ({"scorer": "letters", "window": 1}, "orders nothing"),
        ({"scorer": "setwise", "sort": "bubble"}, "unknown sort 'bubble'"),
        ({"scorer": "setwise", "top": 0}, "sorts nothing"),
        ({"scorer": "selector", "carry": 20}, "carry 20 with a window of 20"),
        ({"scorer": "groupwise", "repeats": 0}, "1 or more"),
        ({"scorer": "label", "at_once": 0}, "1 or more"),
        ({"scorer": "integers", "prompt": "label"}, "is for the scorer 'label'"),
    ],
)
def test_what_does_not_fit_is_refused(written, arguments, reason):
    with pytest.raises(UsageError, match=reason):
        load_llm_reranker(written(), **arguments)


def test_a_small_window_moves_by_half(written):
    reranker = load_llm_reranker(written(), "letters", window=6)
    assert (reranker.window, reranker.step) == (6, 3)


def test_an_instruction_takes_the_place_of_the_prompts(written, ask):
    engine = written(lambda prompt, label: 0.0)
    reranker = load_llm_reranker(engine, "label", "label-qwen3", instruction="Find {rivers}")
    reranker.rank_request(ask(["x"]))
    assert "<Instruct>: Find {rivers}\n" in engine.prompts[0]
    other = load_llm_reranker(engine, "label", "label-qwen3")
    assert other.identity()["prompt"] != reranker.identity()["prompt"]
