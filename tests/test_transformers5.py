"""Scores under transformers 5 and without `adapters` are those of this environment.

make test-transformers5
"""

import json
import os
import subprocess
import sys
import tempfile

import pytest

OTHER = os.environ.get("POLYRANK_PYTHON_5")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(OTHER is None, reason="run 'make test-transformers5'"),
]

SCRIPT = """
import json, sys
import polyrank as pr
from polyrank.index.dense import Dense
from polyrank.collections.records import Document

texts = ["the river is long", "old iron", "water boils at a hundred degrees"]
scores = {}
for name, options in json.loads(sys.argv[1]):
    reranker = pr.load_reranker(name, **options)
    hits = reranker.rank("water boils", texts, "tr", "en")
    scores[json.dumps([name, options])] = {hit.document_id: hit.score for hit in hits}
documents = [Document(str(i), text, "", "en") for i, text in enumerate(texts)]
scores["dense"] = {hit.document_id: hit.score for hit in Dense(documents).search("water")["query"]}
print(json.dumps(scores))
"""


def scores(python, asked):
    command = [python, "-c", SCRIPT, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tempfile.gettempdir())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_modules_masks_and_late_interaction(default_zoo):
    asked = [
        ["e5-small", {"type": "late-interaction"}],
        *(
            ["e5-small", {"type": "modular", "ranking": "squad", "kind": kind, "routing": routing}]
            for kind in ("adapter", "mask")
            for routing in ("query", "document")
        ),
        ["e5-small", {"type": "modular", "ranking": "squad", "routing": "split"}],
    ]
    alike(asked)


def test_a_cross_encoder_and_a_language_model(default_zoo, tiny_xlmr, llama, tmp_path):
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(3)
    config = AutoConfig.from_pretrained(tiny_xlmr, num_labels=1)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "cross")
    AutoTokenizer.from_pretrained(tiny_xlmr).save_pretrained(tmp_path / "cross")
    asked = [
        [str(tmp_path / "cross"), {}],
        *([str(llama), {"options": {"scorer": scorer}}] for scorer in ("label", "letters")),
    ]
    alike(asked)


def alike(asked):
    here, there = scores(sys.executable, asked), scores(OTHER, asked)
    assert here.keys() == there.keys()
    for name, expected in here.items():
        assert there[name] == pytest.approx(expected, abs=1e-5), name


def test_training_says_what_it_needs(tmp_path):
    command = [OTHER, "-c", "from polyrank.cli import main; main()", "train", "language"]
    text = tmp_path / "text.txt"
    text.write_text("water boils\n" * 20)
    done = subprocess.run(
        [*command, "--language", "ky", "--text", str(text), "--output", str(tmp_path / "ky")],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2 and "pip install 'polyrank[train]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--base", "no/such"], ["--model", "no/such"]])
def test_a_hub_that_is_not_reached_is_told(words, tmp_path):
    """The Hub's client has another HTTP library in each of its large versions."""
    (tmp_path / "passages.txt").write_text("water boils\nold iron\n")
    asked = ["rerank", "--query", "water", "--passages", str(tmp_path / "passages.txt"), *words]
    done = subprocess.run(
        [OTHER, "-c", "from polyrank.cli import main; main()", *asked],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"},
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-800:]
    assert "no/such" in done.stderr and "127.0.0.1:9" in done.stderr
    assert "Loading weights" not in done.stderr
