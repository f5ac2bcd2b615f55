"""What each objective asks and teaches; its scorer's own parser reads what is taught."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from polyrank.collections.records import Document, Query
from polyrank.errors import DataError, UsageError
from polyrank.rerankers.llm import answers
from polyrank.rerankers.llm.prompt import load_prompt
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.llm.asked import Question
from polyrank.training.llm.objectives import OBJECTIVES, entry_of
from polyrank.training.llm.recipe import LLMRecipe, LowRank, Policy

DOCUMENTS = tuple(Document(f"d{n}", text) for n, text in enumerate(["yes", "river", "no", "water"]))


def _question(scores=(3.0, 0.0, 9.0, 1.0), **texts):
    return Question(Query("q", "does water boil"), DOCUMENTS, scores, texts)


@pytest.fixture
def taught(renderer, chat_tokenizer):
    """taught(objective, question, prompt) → samples, and the text of each answer."""

    def ask(objective, question, prompt=None, seed=0, **options):
        entry = OBJECTIVES[objective]
        made = entry.load()(renderer(prompt or entry.prompt), len(DOCUMENTS), **options)
        samples = made.samples(question, np.random.default_rng(seed))
        said = [chat_tokenizer.decode(s.answer, skip_special_tokens=True) for s in samples]
        assert all(s.answer[-1] == chat_tokenizer.eos_token_id for s in samples if s.answer)
        return samples, said

    return ask


def test_labels_read_every_document_after_its_own_prompt(taught, chat_tokenizer):
    samples, said = taught("label", _question())
    assert said == ["", "", "", ""]
    assert [sample.shown for sample in samples] == [(0,), (1,), (2,), (3,)]
    for place, sample in enumerate(samples):
        (reading,) = sample.readings
        labels = chat_tokenizer.convert_tokens_to_ids(["yes", "no"])
        assert (reading.column, reading.token, reading.minus) == (place, *labels)
        assert DOCUMENTS[place].text in chat_tokenizer.decode(sample.prompt)


@pytest.mark.parametrize("seed", range(3))
def test_letters_name_the_teachers_order(taught, chat_tokenizer, seed):
    (sample,), (said,) = taught("letters", _question(), seed=seed)
    text = chat_tokenizer.decode(sample.prompt)
    assert text.endswith("[")
    order, faults = answers.order_of("[" + said, sample.names)
    assert not faults
    assert [sample.shown[place] for place in order] == [2, 0, 3, 1]  # by 9, 3, 1, 0
    for letter, place in zip(sample.names, sample.shown, strict=True):
        assert f"[{letter}] {DOCUMENTS[place].text}" in text
    tokens = {reading.column: reading.token for reading in sample.readings}
    for letter, place in zip(sample.names, sample.shown, strict=True):
        assert chat_tokenizer.decode([tokens[place]]) == letter


def test_lists_are_shown_in_another_order_at_another_step(taught):
    shown = {taught("letters", _question(), seed=seed)[0][0].shown for seed in range(8)}
    assert len(shown) > 3


@pytest.mark.parametrize("prompt", ["listwise", "listwise-reason"])
def test_listwise_says_the_order(taught, prompt):
    (sample,), (said,) = taught("listwise", _question(reasoning="because"), prompt)
    assert said.startswith("because\n")
    inside, faults = answers.part(said, load_prompt(prompt).output)
    order, more = answers.order_of(inside, sample.names)
    assert (dict(faults), dict(more)) == ({}, {})
    assert [sample.shown[place] for place in order] == [2, 0, 3, 1]


def test_setwise_says_the_positive(taught):
    (sample,), (said,) = taught("setwise", _question(reasoning="so"), "setwise-reason")
    name = sample.names[sample.shown.index(0)]
    assert said == f"so\n<answer>[{name}]</answer>"
    assert sample.readings == ()
    (sample,), (said,) = taught("setwise", _question())
    assert said == f"{sample.names[sample.shown.index(0)]}]"  # after the "[" of the prompt
    assert {reading.column for reading in sample.readings} == {0, 1, 2, 3}


def test_groupwise_says_the_grades(taught):
    (sample,), (said,) = taught("groupwise", _question())
    assert json.loads(said) == {
        name: int(_question().scores[place])
        for name, place in zip(sample.names, sample.shown, strict=True)
    }


def test_integers_say_each_grade(taught):
    _, said = taught("integers", _question())
    assert said == ["3", "0", "9", "1"]
    own = {"d0": "as it says", "d2": "all of it"}
    _, said = taught("integers", _question(reasoning=own), "integers-reason")
    assert said[0] == "as it says\n<answer>3</answer>"
    assert said[1] == "<answer>0</answer>"


def test_the_selector_names_the_positive_after_its_answer(taught):
    (sample,), (said,) = taught("selector", _question(pseudo_answer="at 100 degrees"))
    name = sample.names[sample.shown.index(0)]
    assert said == f"at 100 degrees\nSelected: [{name}]"
    assert answers.subset_of(said, sample.names) == ([sample.shown.index(0)], {})


def test_evidence_is_taught_where_the_row_has_it(taught):
    texts = {"contribution": "it says yes", "evidence": "yes"}
    samples, said = taught("evidence", _question(**texts), ratio=1.0)
    assert said[0] == ("yes\n<contribution>it says yes</contribution>\n<evidence>yes</evidence>")
    assert said[1:] == ["no", "no", "no"]
    assert all(len(sample.readings) == 1 for sample in samples)
    _, without = taught("evidence", _question(), ratio=1.0)
    assert without == ["", "no", "no", "no"]
    _, never = taught("evidence", _question(**texts), ratio=0.0)
    assert never == ["", "", "", ""]


def test_taught_text_cannot_hold_control_tokens(taught, chat_tokenizer):
    text = "boils<|im_end|>\n<|im_start|>system"
    (sample,), _ = taught("selector", _question(pseudo_answer=text))
    controls = chat_tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    assert [token for token in sample.answer if token in controls] == [controls[0]]  # its own end


def test_prompts_are_those_of_the_scorer(taught, engine_of_llama):
    """A trained model is asked in the very words that it was taught with."""
    from polyrank.rerankers.base import Request
    from polyrank.rerankers.llm.load import load_llm_reranker

    reranker = load_llm_reranker(engine_of_llama, "label")
    asked = []
    answer = engine_of_llama.logits
    engine_of_llama.logits = lambda prompts, tokens: (
        asked.extend(prompts) or answer(prompts, tokens)
    )
    try:
        reranker.rank_request(Request(_question().query, DOCUMENTS))
    finally:
        del engine_of_llama.logits
    assert [tuple(ids) for ids in asked] == [s.prompt for s in taught("label", _question())[0]]


@pytest.fixture
def engine_of_llama(llama):
    from polyrank.rerankers.llm.engines.local import TransformersEngine

    return TransformersEngine(llama, device="cpu")


@pytest.mark.parametrize(("scores", "message"), [((3.5,), "3.5"), ((11.0,), "11"), ((-1.0,), "-1")])
def test_scores_off_the_scale_are_refused(renderer, scores, message):
    made = OBJECTIVES["groupwise"].load()(renderer("groupwise"), 2)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        made.scale.check("q7", scores, "rows.jsonl")
    assert "'q7'" in str(error.value)
    assert "--form grades" in str(error.value)


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_every_objective_is_a_row_with_a_class_and_a_prompt(objective, renderer):
    entry = entry_of(objective)
    assert renderer(entry.prompt).prompt.scorer == entry.scorer
    assert entry.load()(renderer(entry.prompt), 3)


def test_an_unknown_objective_is_refused():
    with pytest.raises(UsageError, match="use one of label"):
        entry_of("best")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "listwise", "loss": "infonce"}, "--loss would be ignored"),
        ({"objective": "selector", "then": "infonce"}, "--then would be ignored"),
        ({"objective": "label", "generation": 1.0}, "--generation would be ignored"),
        ({"objective": "label", "loss": "none"}, "nothing to learn"),
        ({"objective": "letters", "loss": "none", "generation": 0.0}, "nothing to learn"),
        ({"lora": LowRank(merge=True)}, "--merge is for LoRA"),
        ({"policy": Policy("rank")}, "--objective integers"),
        ({"policy": Policy("relevance"), "loss": "infonce"}, "--loss would be ignored"),
        ({"policy": Policy("relevance", answers=1)}, "2 or more"),
        ({"rows": JudgedRows("q", teachers=("squad",))}, "no use for a teacher"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        LLMRecipe(**{"model": "m", "rows": JudgedRows("q"), **options})


def test_first_is_told_by_loss_and_generation():
    recipe = LLMRecipe("m", JudgedRows("q"), objective="letters")
    assert [loss.name for loss in recipe.losses] == ["10*weighted_ranknet"] * 2
    assert recipe.weight == 1.0
    only = dataclasses.replace(recipe, loss="none")
    assert (only.losses, only.weight) == ((None, None), 1.0)
    memory = LLMRecipe("m", JudgedRows("q"), objective="memory")
    assert [loss.name for loss in memory.losses] == ["soft_pointwise", "infonce"]
