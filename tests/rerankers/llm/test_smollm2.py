"""A real model of 135 million parameters, where 'make llm-model' has put it."""

import os
from pathlib import Path

import pytest

from polyrank.rerankers.llm import SCORERS, load_llm_reranker

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(os.environ.get("POLYRANK_LLM", ROOT / "runs" / "smollm2"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (FOLDER / "config.json").is_file(), reason="needs make llm-model"),
]
TEXTS = [
    "The embargo of October 1973 began the first oil crisis.",
    "Berlin is the capital of Germany.",
    "The Amazon is the largest river by its flow.",
]


@pytest.fixture(scope="module")
def real():
    from polyrank.rerankers.llm.engines.local import TransformersEngine

    return TransformersEngine(FOLDER, device="cpu")


@pytest.mark.parametrize("scorer", SCORERS)
def test_every_scorer_runs(real, ask, ids, scorer):
    options = {"max_tokens": 24} if SCORERS[scorer].generates else {}
    reranker = load_llm_reranker(real, scorer, **options)
    request = ask(TEXTS, (3.0, 2.0, 1.0), query="When did the oil crisis begin?")
    assert sorted(ids(reranker.rank_request(request))) == ["d0", "d1", "d2"]


def test_a_shared_prefix_changes_no_score(real, ask):
    reranker = load_llm_reranker(real, "label", "label-examples")
    request = ask(TEXTS, query="When did the oil crisis begin?")
    scores = {}
    for share in (True, False):
        real.share_prefix = share
        scores[share] = {h.document_id: h.score for h in reranker.rank_request(request).hits}
    real.share_prefix = True
    assert scores[True] == pytest.approx(scores[False], abs=1e-4)


def test_it_answers(real):
    from polyrank.rerankers.llm.engines.base import Sampling

    turns = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
    text = real.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    prompt = real.tokenizer(text, add_special_tokens=False)["input_ids"]
    (answer,) = real.generate([prompt], Sampling(max_tokens=12))
    assert "Paris" in answer.text


def test_numbers_of_several_tokens_are_refused(real, tmp_path):
    from polyrank.errors import UsageError

    for labels in ("[0, 5, 10]", "['٠', '١']"):
        path = tmp_path / "labels.yaml"
        path.write_text(f"scorer: integers\ndocument: '{{text}}'\nlabels: {labels}\n")
        with pytest.raises(UsageError, match="not a single token"):
            load_llm_reranker(real, "integers", path)
