"""polyrank compose, and rerank --composition."""

import json
import os

import pytest

PAIR = ["--query-language", "tr", "--document-language", "en"]


@pytest.fixture
def plan(polyrank, tiny, tmp_path):
    result = polyrank("compose", *tiny, *PAIR, "--output", tmp_path / "plan.json")
    assert result.exit_code == 0
    return tmp_path / "plan.json"


def test_it_prints_the_plan(polyrank, tiny):
    lines = polyrank("compose", *tiny, *PAIR).stdout.splitlines()
    assert lines[0].startswith(f"base {tiny[1]} (") and lines[0].endswith("routing split")
    assert lines[2].split() == ["query", "tr", "tr", "squad"]
    assert lines[3].split() == ["document", "en", "en", "squad"]


def test_json_is_what_the_file_holds(polyrank, tiny, plan):
    assert polyrank("compose", *tiny, *PAIR, "--json").stdout == plan.read_text()
    assert json.loads(plan.read_text())["composition"]["query_module"] == "tr"


@pytest.mark.parametrize("stage", ["bm25", "dense"])
def test_rerank_runs_the_plan(stage, polyrank, tiny, source, plan, tmp_path):
    """With its base, for the first stage, too: the default base is not here."""
    common = [*source, "--first-stage", stage, "--depth", "3"]
    one, other = tmp_path / "one.trec", tmp_path / "other.trec"
    assert polyrank("rerank", *common, "--composition", plan, "--output", one).exit_code == 0
    assert polyrank("rerank", *common, *tiny, *PAIR, "--output", other).exit_code == 0
    assert one.read_text() == other.read_text() != ""


def test_what_the_plan_says_is_not_said_twice(polyrank, tiny, source, plan):
    result = polyrank(
        *("rerank", *source, "--first-stage", "bm25"),
        *("--composition", plan, "--routing", "none", "--ranking", "bare"),
    )
    assert result.exit_code == 2 and "leave out --ranking, --routing" in result.stderr


def test_a_plan_for_other_languages_is_refused(polyrank, tiny, plan, source):
    result = polyrank(
        *("rerank", *source[:-1], "ky", "--first-stage", "bm25", "--composition", plan)
    )
    assert result.exit_code == 2 and "for documents in 'en', but one is in 'ky'" in result.stderr


def test_adapters_make_no_plain_checkpoint(polyrank, tiny, tmp_path):
    result = polyrank("compose", *tiny, *PAIR, "--checkpoint", tmp_path / "out")
    assert result.exit_code == 2 and "layers of their own" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_language_without_module_and_a_broken_file(polyrank, tiny, source, tmp_path):
    result = polyrank("compose", *tiny, "--query-language", "kk", "--document-language", "en")
    assert result.exit_code == 2 and "fallback" in result.stderr
    (tmp_path / "plan.json").write_text("{")
    result = polyrank(
        *("rerank", *source, "--first-stage", "bm25", "--composition", tmp_path / "plan.json")
    )
    assert result.exit_code == 2 and "is not a composition" in result.stderr


def test_a_checkpoint_in_half_of_the_bytes(polyrank, tiny, mask_zoo, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYRANK_ZOO", f"{mask_zoo}{os.pathsep}{os.environ['POLYRANK_ZOO']}")
    composed = ["compose", *tiny, *PAIR, "--kind", "mask", "--half"]
    refused = polyrank(*composed)
    assert refused.exit_code == 2 and "--half says how --checkpoint is stored" in refused.stderr
    result = polyrank(*composed, "--checkpoint", tmp_path / "half")
    assert result.exit_code == 0, result.stderr
    assert "on Flores sentences in " in result.stderr and "over 128 pairs" in result.stderr
    whole = polyrank(*composed[:-1], "--checkpoint", tmp_path / "whole")
    assert whole.exit_code == 0 and "fp16" not in whole.stderr
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("half", "whole")]
    assert sizes[0] < 0.55 * sizes[1]


def test_masks_make_a_plain_checkpoint_that_scores_the_same(
    polyrank, tiny, tiny_base, mask_zoo, tmp_path, monkeypatch
):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from polyrank.rerankers.composed import ComposedReranker

    zoos = f"{mask_zoo}{os.pathsep}{os.environ['POLYRANK_ZOO']}"
    monkeypatch.setenv("POLYRANK_ZOO", zoos)
    result = polyrank(
        *("compose", *tiny, *PAIR, "--kind", "mask", "--routing", "both"),
        *("--checkpoint", tmp_path / "plain", "--output", tmp_path / "plan.json"),
    )
    assert result.exit_code == 0 and "without polyrank" in result.stderr
    hits = ComposedReranker(tmp_path / "plan.json").rank("old iron", ["a river", "x"])
    found = {hit.document_id: hit.score for hit in hits}
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain")
    for place, passage in enumerate(["a river", "x"]):
        encoding = tokenizer("old iron", passage, return_tensors="pt")
        with torch.inference_mode():
            assert float(model(**encoding).logits) == pytest.approx(found[str(place)], abs=1e-5)
