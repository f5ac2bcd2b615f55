"""A language model before and after training to rank, beside BM25, dense and late interaction.

    make llm-train
    python benchmarks/llm_training.py --before runs/smollm2 --after runs/smollm2-label \
        --queries squad.queries.jsonl.gz --passages squad.passages.jsonl.gz \
        --output benchmarks/results/llm_training.json

The first `--count` questions, each with the best 10 passages of BM25 over all of them; every system
orders the same candidates. Each trained model is compared with the one before, under the prompt and
scorer of its training, by a paired randomisation test with Holm's correction. What is in the output
already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from llm import read

from polyrank.base import DEFAULT_BASE, load_base
from polyrank.collections.records import Run
from polyrank.evaluation import evaluate
from polyrank.evaluation.significance import bootstrap_interval, holm, randomisation_test
from polyrank.index.dense import Dense
from polyrank.index.lexical import BM25
from polyrank.machine import machine
from polyrank.rerankers.base import Request, requests_of
from polyrank.rerankers.llm.card import read_llm_card
from polyrank.rerankers.load import RerankerSpec, load_reranker

MEASURE = "nDCG@10"


def untrained(before: str, after: str) -> RerankerSpec:
    """The model before, asked as the trained one is."""
    card = read_llm_card(after)
    options = {"scorer": card.scorer, "prompt": card.prompt, **card.options}
    return RerankerSpec(model=before, options=options)


def ranked(reranker: Any, requests: list[Request]) -> tuple[Run, float]:
    """The run, and processor seconds a question."""
    started = time.process_time()
    run = {ranking.query_id: list(ranking.hits) for ranking in reranker.rank_all(requests)}
    return run, (time.process_time() - started) / len(requests)


def dense(requests: list[Request]) -> Run:
    """The candidates of each question by their vectors."""
    run: Run = {}
    base = load_base(DEFAULT_BASE)
    for request in requests:
        index = Dense(request.documents, base=base, progress=False)
        run |= index.search([request.query], 10)
    return run


def row(run: Run, qrels: Any, seconds: float) -> dict[str, Any]:
    """One system: the mean, the values it is of, and what it cost."""
    report = evaluate(run, qrels, [MEASURE])
    return {
        MEASURE: round(report.mean[MEASURE], 4),
        "processor seconds": round(seconds, 2),
        "values": {q: round(v, 5) for q, v in report.per_query[MEASURE].items()},
    }


def tests(systems: dict[str, Any], after: list[str]) -> list[dict[str, Any]]:
    """Each trained model against itself before, and against the others, described by p."""
    rows = []
    for name in after:
        others = [f"{name}, before training", *(s for s in systems if "smol" not in s)]
        for other in (one for one in others if one in systems):
            ours, theirs = systems[name]["values"], systems[other]["values"]
            one, two = [ours[q] for q in ours], [theirs[q] for q in ours]
            low, high = bootstrap_interval(one, two, seed=13)
            rows.append(
                {
                    "system": name,
                    "against": other,
                    "difference": round(sum(one) / len(one) - sum(two) / len(two), 4),
                    "interval": [round(low, 4), round(high, 4)],
                    "p": randomisation_test(one, two, seed=13),
                }
            )
    for each, corrected in zip(rows, holm([each["p"] for each in rows]), strict=True):
        each["p"], each["p_holm"] = round(each["p"], 5), round(corrected, 5)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True, help="the model that training started from")
    parser.add_argument("--after", nargs="+", required=True, help="folders of 'train llm'")
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--passages", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100, help="of the first questions")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    collection = read(options.queries, options.passages, options.count)
    first = BM25(collection.documents.values()).search(collection.queries.values(), 10)
    requests = list(requests_of(collection, first))
    results: dict[str, Any] = {"machine": machine(), "questions": len(requests), "systems": {}}
    if options.output.is_file():
        results |= json.loads(options.output.read_text())
    systems = results["systems"]

    def keep(name: str, run: Run, seconds: float) -> None:
        systems[name] = row(run, collection.qrels, seconds)
        print(name, systems[name][MEASURE], flush=True)
        options.output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")

    if "BM25" not in systems:
        keep("BM25", first, 0.0)
    if "dense" not in systems:
        keep("dense", dense(requests), 0.0)
    specs: dict[str, RerankerSpec] = {"late interaction": RerankerSpec()}
    names = [Path(folder).name for folder in options.after]
    for name, folder in zip(names, options.after, strict=True):
        specs[name] = RerankerSpec(model=folder)
        specs[f"{name}, before training"] = untrained(options.before, folder)
    for name, spec in specs.items():
        if name not in systems:
            keep(name, *ranked(load_reranker(spec), requests))
    results["trained"] = {
        name: {k: v for k, v in read_llm_card(folder).recipe.items() if k != "command"}
        for name, folder in zip(names, options.after, strict=True)
    }
    results["tests"] = tests(systems, names)
    options.output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    for test in results["tests"]:
        print(test)


if __name__ == "__main__":
    main()
