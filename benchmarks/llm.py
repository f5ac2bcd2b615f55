"""Every scorer of language models on one small set: nDCG@10, malformed answers, tokens, seconds.

    make llm-model
    python benchmarks/llm.py --model runs/smollm2 --queries squad.queries.jsonl.gz \
        --passages squad.passages.jsonl.gz --output benchmarks/results/llm.json

Queries have the fields `_id`, `text` and `pos`, the id of their passage. The first stage is BM25
over all passages; a query counts whether its passage is among the candidates or not. What is in the
output already is not measured again, so a run that was stopped goes on. Processor seconds are those
of this process, and say the same on a busy machine; seconds do not.

Also times the label scorer with and without a shared prefix, question by question in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from polyrank.collections.files import open_text
from polyrank.collections.jsonl import iter_documents, iter_queries
from polyrank.collections.records import Collection, Judgement
from polyrank.evaluation import evaluate
from polyrank.index.lexical import BM25
from polyrank.machine import machine
from polyrank.rerankers.base import Request, requests_of
from polyrank.rerankers.llm import SCORERS, load_llm_reranker
from polyrank.rerankers.llm.engines.local import TransformersEngine

# Settings for a small model on a few cores: shorter documents and answers than the prompts allow.
EACH = {"document_tokens": 128}
LISTS = {"document_tokens": 64}
ANSWERS = {"document_tokens": 64, "max_tokens": 64}
RUNS: dict[str, dict[str, Any]] = {
    "letters": LISTS,
    "label": EACH,
    "listwise": ANSWERS,
    "groupwise": ANSWERS,
    "insertrank": ANSWERS,
    "selector": ANSWERS,
    "integers": EACH,
    "setwise": {**LISTS, "top": 3},
    "evidence": {**EACH, "max_tokens": 64},
    "label, examples": {**EACH, "scorer": "label", "prompt": "label-examples"},
    "letters, window 5": {**LISTS, "scorer": "letters", "window": 5, "step": 3},
}


def read(queries: Path, passages: Path, count: int) -> Collection:
    """The first `count` queries, and all passages."""
    with_answers = [json.loads(line) for line in open_text(queries)][:count]
    found = {query.id: query for query in iter_queries(queries, "en")}
    return Collection(
        "squad",
        {document.id: document for document in iter_documents(passages, "en")},
        {row["_id"]: found[row["_id"]] for row in with_answers},
        [Judgement(row["_id"], row["pos"], 1) for row in with_answers],
    )


def measure(
    engine: TransformersEngine, name: str, collection: Collection, requests: list[Request]
) -> dict[str, Any]:
    """One row of the table."""
    options = dict(RUNS[name])
    scorer = options.pop("scorer", name)
    generates = SCORERS[scorer].generates
    reranker: Any = load_llm_reranker(
        engine, scorer, at_once=10 if generates and scorer != "evidence" else 1, **options
    )
    wall, processor = time.perf_counter(), time.process_time()
    rankings = list(reranker.rank_all(requests))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    run = {ranking.query_id: list(ranking.hits) for ranking in rankings}
    for request, ranking in zip(requests, rankings, strict=True):
        given, returned = request.documents, ranking.hits
        assert {d.id for d in given} == {h.document_id for h in returned}
        assert len(given) == len(returned)
    kinds: dict[str, int] = {}
    for ranking in rankings:
        for note, times in ranking.notes.of_kind("malformed").items():
            kinds[str(note)] = kinds.get(str(note), 0) + times
    costs, count = list(reranker.costs.values()), len(rankings)
    bad = sum(bool(ranking.notes.of_kind("malformed")) for ranking in rankings)
    return {
        "prompt": reranker.prompt.name,
        "options": reranker.options,
        "nDCG@10": round(evaluate(run, collection.qrels, ["nDCG@10"]).mean["nDCG@10"], 4),
        "queries with a malformed answer": round(bad / count, 3) if generates else None,
        "malformed": kinds,
        "calls": round(sum(c.calls for c in costs) / count, 2),
        "prompt tokens": round(sum(c.prompt_tokens for c in costs) / count, 1),
        "of these not computed again": round(sum(c.cached_tokens for c in costs) / count, 1),
        "generated tokens": round(sum(c.generated_tokens for c in costs) / count, 1),
        "seconds": round(wall / count, 2),
        "processor seconds": round(processor / count, 2),
    }


def prefix_caching(engine: TransformersEngine, prompt: str, requests: list[Request]) -> Any:
    """Processor seconds of pointwise scoring with and without, and how far scores differ."""
    reranker: Any = load_llm_reranker(engine, "label", prompt)
    seconds, tokens = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    apart = 0.0
    for request in requests:
        scores = {}
        for shared in (True, False):
            engine.share_prefix = shared
            start = time.process_time()
            ranking = reranker.rank_request(request)
            seconds[shared] += time.process_time() - start
            cost = reranker.costs[request.query.id]
            tokens[shared] += cost.prompt_tokens - cost.cached_tokens
            scores[shared] = {hit.document_id: hit.score for hit in ranking.hits}
        apart = max(apart, *(abs(scores[True][d] - scores[False][d]) for d in scores[True]))
    engine.share_prefix = True
    return {
        "questions": len(requests),
        "processor seconds with": round(seconds[True] / len(requests), 2),
        "processor seconds without": round(seconds[False] / len(requests), 2),
        "ratio": round(seconds[True] / seconds[False], 3),
        "ratio of computed tokens": round(tokens[True] / tokens[False], 3),
        "greatest difference of scores": apart,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a folder or Hub id")
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--passages", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=50, help="of the first queries")
    parser.add_argument("--depth", type=int, default=10, help="candidates of a query")
    parser.add_argument("--cache-count", type=int, default=10, help="queries to time caching on")
    parser.add_argument("--only", nargs="*", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    collection = read(options.queries, options.passages, options.count)
    first = BM25(collection.documents.values()).search(collection.queries.values(), options.depth)
    requests = list(requests_of(collection, first))
    results: dict[str, Any] = {
        "model": Path(options.model).name,
        "machine": machine(),
        "queries": len(requests),
        "candidates": options.depth,
        "BM25": {"nDCG@10": evaluate(first, collection.qrels, ["nDCG@10"]).mean["nDCG@10"]},
        "scorers": {},
        "prefix caching": {},
    }
    if options.output.is_file():
        results |= json.loads(options.output.read_text())

    def keep() -> None:
        options.output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")

    engine = TransformersEngine(options.model, device="cpu")
    for name in options.only:
        if name not in results["scorers"]:
            results["scorers"][name] = measure(engine, name, collection, requests)
            print(name, results["scorers"][name], flush=True)
            keep()
    for prompt in ("label", "label-examples"):
        if prompt not in results["prefix caching"]:
            few = requests[: options.cache_count]
            results["prefix caching"][prompt] = prefix_caching(engine, prompt, few)
            print(prompt, results["prefix caching"][prompt], flush=True)
            keep()


if __name__ == "__main__":
    main()
