"""Why composition gains nothing here: does a language module that was trained longer help?

    python benchmarks/language_steps.py --queries afriqa/queries.traindev.jsonl.gz \\
        --passages afriqa/passages.en.jsonl.gz --zoo runs/ha150 --zoo runs/ha1500 \\
        --output benchmarks/results/language_steps.json

A development collection, never a test one: AfriQA's questions in one language (Ogundepo et al.
2023, arXiv 2305.06897), each with its English passage. Every zoo folder holds one adapter, of
more or fewer steps, under the same ranking adapter; all systems rerank the same best candidates of
the dense first stage. Tests are paired over questions and Holm-corrected.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path
from typing import Any

import torch

from polyrank import Reranker
from polyrank.base import DEFAULT_BASE, load_base
from polyrank.collections.records import Collection, Document, Judgement, Query, Run
from polyrank.evaluation import evaluate
from polyrank.evaluation.significance import holm
from polyrank.index.dense import Dense
from polyrank.machine import machine
from polyrank.zoo import list_modules

SETTINGS = ("language", "ranking", "depth", "max_length", "precision", "seed")


def read(options: argparse.Namespace) -> Collection:
    """The questions of one language, and all English passages."""
    with gzip.open(options.passages, "rt", encoding="utf-8") as lines:
        passages = [json.loads(line) for line in lines]
    with gzip.open(options.queries, "rt", encoding="utf-8") as lines:
        rows = [row for line in lines if (row := json.loads(line))["lang"] == options.afriqa]
    return Collection(
        name=f"afriqa-{options.language}",
        queries={row["_id"]: Query(row["_id"], row["question"], options.language) for row in rows},
        documents={p["_id"]: Document(p["_id"], p["text"], p["title"], "en") for p in passages},
        qrels=[Judgement(row["_id"], row["passage_id"], 1) for row in rows],
    )


def compared(
    runs: dict[str, Run], texts: Collection, pairs: list[tuple[str, str]], seed: int
) -> list[dict[str, Any]]:
    """nDCG@10 differences with their tests, corrected over all pairs."""
    found = []
    for system, baseline in pairs:
        report = evaluate(runs[system], texts.qrels, ["nDCG@10"], runs[baseline], seed)
        test = report.comparison["nDCG@10"]
        found.append({"system": system, "baseline": baseline, **vars_of(test)})
    for row, corrected in zip(found, holm([row["p"] for row in found]), strict=True):
        row["p_holm"] = round(corrected, 5)
    return found


def vars_of(test: Any) -> dict[str, Any]:
    """The parts of a comparison that are kept."""
    return {
        "difference": round(test.difference, 4),
        "interval": [round(test.low, 4), round(test.high, 4)],
        "p": round(test.p_value, 5),
    }


def main() -> None:
    """Scores everything once, prints and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--passages", type=Path, required=True)
    parser.add_argument("--language", default="ha")
    parser.add_argument("--afriqa", default="hau", help="the language's code in the file")
    parser.add_argument("--zoo", action="append", required=True, help="with a language adapter")
    parser.add_argument("--full-zoo", help="zoo folder with the fully fine-tuned baseline")
    parser.add_argument("--ranking", default="squad")
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--max-length", type=int, default=160)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    started, base, texts = time.time(), load_base(DEFAULT_BASE), read(options)
    common = {"max_length": options.max_length, "precision": options.precision}
    dense = Dense(texts.documents.values(), base=base, max_length=options.max_length)
    runs = {"dense": dense.search(list(texts.queries.values()), options.depth)}
    systems: dict[str, Reranker] = {}
    if options.full_zoo:
        systems["full fine-tuning"] = Reranker(
            base, options.ranking, kind="full", zoo=options.full_zoo, **common
        )
    systems["ranking adapter alone"] = Reranker(base, options.ranking, routing="none", **common)
    perplexity = {}
    for zoo in options.zoo:
        (entry,) = list_modules(DEFAULT_BASE, "language", "adapter", options.language, zoo=zoo)
        name = f"composition, {entry.card.recipe['steps']} steps"
        perplexity[name] = dict(entry.card.figures)
        systems[name] = Reranker(base, options.ranking, routing="split", zoo=zoo, **common)
    for name, reranker in systems.items():
        runs[name] = reranker.rerank(texts, runs["dense"])
    alone, *others = [name for name in systems if name != "full fine-tuning"]
    pairs = [(name, alone) for name in others] + [(name, "dense") for name in systems]
    if options.full_zoo:
        pairs += [(name, "full fine-tuning") for name in others]
    result = {
        "questions": len(texts.queries),
        "passages": len(texts.documents),
        "means": {
            name: dict(evaluate(run, texts.qrels, ["nDCG@10", "RR"]).mean)
            for name, run in runs.items()
        },
        "perplexity": perplexity,
        "tests": compared(runs, texts, pairs, options.seed),
        "settings": {name: getattr(options, name) for name in SETTINGS},
        "machine": f"{machine()}, torch {torch.__version__}",
        "minutes": round((time.time() - started) / 60, 1),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
