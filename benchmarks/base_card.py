"""Measures the bundled base as a dense retriever and writes its card.

    python benchmarks/base_card.py --output benchmarks/results/base.json

English headline → article of another language, and back: 123 NTREX articles, chance .008. The
teacher on English alone is measured beside it when its package is installed.
"""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from polyrank.base import load_base
from polyrank.collections.load import load_collection
from polyrank.errors import PolyrankError
from polyrank.evaluation import evaluate
from polyrank.index.dense import Dense
from polyrank.training.base_student import teacher_folder
from polyrank.training.steps import machine

LANGUAGES = ["de", "es", "fr", "fi", "ru", "tr", "ky", "ug", "sw", "zh"]


def retrieval(base: Any, query_language: str, document_language: str) -> dict[str, float]:
    """top-1 and nDCG@10 of headline → article."""
    texts = load_collection("ntrex", queries=query_language, documents=document_language)
    run = Dense(texts.documents.values(), base=base).search(texts.queries.values(), 100)
    mean = evaluate(run, texts.qrels, ["Success@1", "nDCG@10"]).mean
    return {"top-1": round(mean["Success@1"], 3), "nDCG@10": round(mean["nDCG@10"], 3)}


def measure() -> dict[str, Any]:
    """Figures per language, and the teacher's on English."""
    base = load_base("mini")
    result: dict[str, Any] = {"en-en": retrieval(base, "en", "en")}
    for language in LANGUAGES:
        result[f"en-{language}"] = retrieval(base, "en", language)
        result[f"{language}-en"] = retrieval(base, language, "en")
    with suppress(PolyrankError):  # without the teacher's package that figure is left out
        result["teacher en-en"] = retrieval(load_base(teacher_folder(None)), "en", "en")
    return {"retrieval": result, "machine": machine()}


CARD = """---
language: [en, de, es, fr, it, fi, ru, tr, ky, kk, ug, sw, so, ar, fa, hi, zh, vi, ha]
license: apache-2.0
base_model: sentence-transformers/all-MiniLM-L6-v2
tags: [polyrank, sentence-similarity, fill-mask]
---

# mini

The bundled base of polyrank: a BERT encoder of 6 layers × 384 with a multilingual SentencePiece
vocabulary of {vocabulary} pieces. Its body starts from all-MiniLM-L6-v2 (Apache-2.0), its
embeddings from word translation, and one joint objective trains both: alignment to the English
teacher on sentence pairs, MLM on plain text, TLM on pairs.

It was trained for {steps} steps in {minutes} minutes on {machine}, {precision}, seed {seed}, beside
other work on the same machine; vocabulary and initialisation come on top:

    polyrank train base --pairs text/pairs.tsv.gz --text text/text \\
        --development text/development.tsv.gz --steps {steps} --output adapters_zoo/mini/base

This is a small model on a small budget. It serves to try things out, to test, and to compare
methods; for production take a larger base and train its modules.

## Retrieval

NTREX, headline → article, top-1 of 123 (chance .008), mean-pooled vectors, by
`python benchmarks/base_card.py`. English → English: {english}; the English teacher: {teacher}.

| | {languages} |
|---|{rules}|
| English headline → article | {out} |
| headline → English article | {back} |

FLORES, sentence → its English original among 300, top-1: the development split. It was watched, but
no setting was tuned on it. The first row is the initialisation alone.

| | {flores} |
|---|{flores_rules}|
| initialisation | {initial} |
| trained | {final} |

## Data

Sentence pairs with English: {pairs}.
Plain text, lines: {lines}.
Sources and licences: `data/README.md`. XQuAD and NTREX were never trained on.
"""


def card(result: dict[str, Any], facts: dict[str, Any], vocabulary: int) -> str:
    """The README of the base."""
    found = result["retrieval"]
    flores = sorted(facts["development"]["final"])

    def row(values: list[float]) -> str:
        return " | ".join(f"{value:.2f}" for value in values)

    return CARD.format(
        **{key: facts[key] for key in ("steps", "minutes", "machine", "precision", "seed")},
        vocabulary=f"{vocabulary:,}",
        english=found["en-en"]["top-1"],
        teacher=found.get("teacher en-en", {}).get("top-1", "not measured"),
        languages=" | ".join(LANGUAGES),
        rules="|".join(["---"] * len(LANGUAGES)),
        out=row([found[f"en-{language}"]["top-1"] for language in LANGUAGES]),
        back=row([found[f"{language}-en"]["top-1"] for language in LANGUAGES]),
        flores=" | ".join(flores),
        flores_rules="|".join(["---"] * len(flores)),
        initial=row([facts["development"]["initial"][language] for language in flores]),
        final=row([facts["development"]["final"][language] for language in flores]),
        pairs=", ".join(f"{language} {count:,}" for language, count in facts["pairs"].items()),
        lines=", ".join(f"{language} {count:,}" for language, count in facts["lines"].items()),
    )


def main() -> None:
    """Measures, writes the JSON and the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="JSON to write")
    options = parser.parse_args()
    base = load_base("mini")
    folder = Path(base.folder)
    result = measure()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    facts = json.loads((folder / "training.json").read_text())
    (folder / "README.md").write_text(card(result, facts, len(base.tokenizer)))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
