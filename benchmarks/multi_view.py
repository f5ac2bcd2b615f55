"""Multi-view and plain cross-encoder modules, trained alike and measured on the same questions.

    python benchmarks/multi_view.py --steps 20 --output multi_view.json

Both are ranking adapters over the language adapter of English, trained from one seed on the same
rows for the same steps: questions and passages of the bundled XQuAD in English. They rerank a BM25
first stage of the questions that were held out, in English and across languages, where each text
runs under its own language's module. nDCG@10 and the first stage's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from polyrank.collections.load import load_collection
from polyrank.collections.records import Collection, Query, Run
from polyrank.evaluation import evaluate
from polyrank.index.lexical import BM25
from polyrank.machine import machine
from polyrank.rerankers.base import rerank_run
from polyrank.rerankers.load import load_reranker
from polyrank.training.ranking.architectures import ARCHITECTURES
from polyrank.training.ranking.train_ranking import train_ranking_module

SOURCE, MEASURE, EVERY = "en", "nDCG@10", 2  # every second question is held out


def rows(folder: Path, texts: Collection) -> tuple[Path, Path]:
    """Questions to train on, with negatives of BM25, and all passages, as JSON lines."""
    documents = list(texts.documents.values())
    relevant = {judgement.query_id: judgement.document_id for judgement in texts.relevant()}
    learnt = [query for i, query in enumerate(texts.queries.values()) if i % EVERY]
    found = BM25(documents).search(learnt, 12)
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for query in learnt:
            hits = [hit.document_id for hit in found[query.id]]
            wrong = [hit for hit in hits if hit != relevant[query.id]]
            row = {"_id": query.id, "text": query.text, "pos": relevant[query.id], "neg": wrong}
            file.write(json.dumps(row) + "\n")
    with (folder / "passages.jsonl").open("w", encoding="utf-8") as file:
        for each in documents:
            file.write(json.dumps({"_id": each.id, "title": each.title, "text": each.text}) + "\n")
    return folder / "queries.jsonl", folder / "passages.jsonl"


def held_out(texts: Collection, count: int) -> list[Query]:
    """The first questions that no module was trained on."""
    return [query for i, query in enumerate(texts.queries.values()) if not i % EVERY][:count]


def candidates(texts: Collection, asked: Sequence[Query], depth: int, english: Collection) -> Run:
    """BM25's for the English questions of these ids: the same for every language of the query."""
    same = [english.queries[query.id] for query in asked]
    return BM25(list(texts.documents.values())).search(same, depth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="e5-small")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-queries", type=int, default=4)
    parser.add_argument("--negatives", type=int, default=3)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--queries", type=int, default=100, help="held-out questions a language")
    parser.add_argument("--depth", type=int, default=10, help="candidates")
    parser.add_argument("--languages", default="en,tr", help="of the questions")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    english = load_collection("xquad", queries=SOURCE, documents=SOURCE)
    result: dict[str, object] = {
        "machine": machine(), "threads": options.threads, "steps": options.steps,
        "batch_queries": options.batch_queries, "negatives": options.negatives,
        "depth": options.depth, "seed": options.seed, "measure": MEASURE,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = rows(folder, english)
        for architecture in ARCHITECTURES:
            started = time.process_time()
            train_ranking_module(
                options.base, *data, folder / architecture, steps=options.steps, mine=0,
                batch_queries=options.batch_queries, negatives=options.negatives,
                length=options.length, seed=options.seed, architecture=architecture,
            )  # fmt: skip
            seconds = time.process_time() - started
            measured = measure(folder / architecture, options, english)
            result[architecture] = {"training_cpu_seconds": round(seconds, 1), **measured}
            print(architecture, json.dumps(result[architecture]), flush=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


def measure(module: Path, options: argparse.Namespace, english: Collection) -> dict[str, object]:
    """nDCG@10 in each language of the questions over English passages, and milliseconds a pair."""
    reranker = load_reranker(module, base=options.base, max_length=options.length)
    found: dict[str, object] = {}
    for language in options.languages.split(","):
        texts = load_collection("xquad", queries=language, documents=SOURCE)
        asked = held_out(texts, options.queries)
        first = candidates(texts, asked, options.depth, english)
        qrels = [judgement for judgement in texts.qrels if judgement.query_id in first]
        started = time.process_time()
        run = rerank_run(reranker, texts, first, progress=False).run
        pairs = sum(map(len, first.values()))
        found[language] = {
            MEASURE: round(value(run, qrels), 4),
            "first_stage": round(value(first, qrels), 4),
            "cpu_milliseconds_a_pair": round(1000 * (time.process_time() - started) / pairs, 1),
        }
    return found


def value(run: Run, qrels: list) -> float:
    values = evaluate(run, qrels, [MEASURE]).per_query[MEASURE].values()
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
