"""Reranking on a CPU beside what one would use instead: pairs a second, latency, memory, quality.

    python benchmarks/rerank.py --model FOLDER --peer-python OTHER/bin/python \\
        --output benchmarks/results/rerank.json

The same queries with the same candidates, XQuAD's passages at their real lengths, for every engine;
the weights are those of FOLDER, a cross-encoder of Hugging Face with one logit. Each engine is a
process of its own with --threads threads; they take turns, query by query, and the first query of
each is its cold start. polyrank runs here; the peers in another environment, of --peer-python, with
`torch sentence-transformers[onnx,openvino] rerankers flashrank`. An engine that cannot run is
listed with its reason. CPU seconds stand beside wall time: they count where others use the machine.

Then languages mixed: translations of the same candidates in one list, against one language, in
polyrank's composition, whose adapters differ by language.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from rerank_engines import ENGINES, OURS
from scipy.stats import kendalltau

import polyrank as pr
from polyrank.collections.records import Judgement, ScoredDocument
from polyrank.evaluation import evaluate
from polyrank.machine import machine

PEERS = "torch", "sentence-transformers", "onnxruntime", "openvino", "rerankers", "flashrank"
MIXED = ("en", "ru", "tr", "zh")


class Engine:
    """A process of `rerank_engines.py`."""

    def __init__(self, python: str, name: str, model: str, threads: int) -> None:
        place = Path(__file__).with_name("rerank_engines.py")
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(place), name, model, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip
        self.loading = self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else {"error": "the process ended"}

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def requests(language: str, count: int, depth: int) -> list[dict[str, Any]]:
    """Queries, each with its relevant passage and the ones after it, as (text, language)."""
    collection = pr.load_collection("xquad", queries=language, documents=language)
    relevant = {one.query_id: one.document_id for one in collection.qrels}
    documents = list(collection.documents.values())
    place = {document.id: i for i, document in enumerate(documents)}
    asked = list(collection.queries.values())[:: len(collection.queries) // count][:count]
    made = []
    for number, query in enumerate(asked):
        first = place[relevant[query.id]] - number  # not always in one place
        some = [documents[(first + i) % len(documents)] for i in range(depth)]
        made.append({
            "id": f"{language} {query.id}", "query": query.text, "language": language,
            "ids": [document.id for document in some],
            "documents": [(document.full_text, language) for document in some],
            "relevant": relevant[query.id],
        })  # fmt: skip
    return made


def mixed(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same candidates, each in another language than its neighbour."""
    texts = {x: pr.load_collection("xquad", queries=x, documents=x).documents for x in MIXED}
    return [
        {**one, "documents": [
            (texts[MIXED[i % len(MIXED)]][identity].full_text, MIXED[i % len(MIXED)])
            for i, identity in enumerate(one["ids"])
        ]}
        for one in asked
    ]  # fmt: skip


def quality(asked: list[dict[str, Any]], scores: list[list[float]]) -> float:
    """nDCG@10."""
    run = {
        one["id"]: [
            ScoredDocument(one["id"], identity, score)
            for identity, score in sorted(
                zip(one["ids"], found, strict=True), key=lambda pair: -pair[1]
            )
        ]
        for one, found in zip(asked, scores, strict=True)
    }
    qrels = [Judgement(one["id"], one["relevant"], 1) for one in asked]
    return evaluate(run, qrels, "nDCG@10").mean["nDCG@10"]


def compared(options: argparse.Namespace) -> dict[str, Any]:
    asked = [
        one
        for language in options.languages.split(",")
        for one in requests(language, options.queries, options.depth)
    ]
    running, result = {}, {}
    for name in options.engines.split(",") if options.engines else ENGINES:
        python = sys.executable if name in OURS else options.peer_python
        if python is None:
            result[name] = {"error": "no --peer-python"}
            continue
        engine = Engine(python, name, options.model, options.threads)
        if "error" in engine.loading:
            result[name] = engine.loading
        else:
            running[name] = engine
        print(name, engine.loading, file=sys.stderr, flush=True)
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in running}
    for number, one in enumerate(asked, 1):
        for name, engine in running.items():
            answers[name].append(engine.ask(one))
        print(f"{number} of {len(asked)} queries", file=sys.stderr, flush=True)
    reference = [answer["scores"] for answer in answers["polyrank fp32"]]
    for name, given in answers.items():
        result[name] = {
            **summary(given, asked, running[name].loading),
            "tau_to_fp32": median(
                float(kendalltau(answer["scores"], fp32).statistic)
                for answer, fp32 in zip(given, reference, strict=True)
            ),
        }
        running[name].close()
    base = result.get("sentence-transformers", {})
    for values in result.values():
        if "cpu" in values and "cpu" in base:
            values["speed_cpu"] = median(
                b / a for a, b in zip(values["each_cpu"], base["each_cpu"], strict=True)
            )
            values["speed_wall"] = median(
                b / a for a, b in zip(values["each_wall"], base["each_wall"], strict=True)
            )
    return result


def summary(
    given: list[dict[str, Any]], asked: list[dict[str, Any]], loading: dict[str, Any]
) -> dict[str, Any]:
    """Of one engine: medians after the first query, which is its cold start."""
    pairs, warm = len(asked[0]["documents"]), given[1:] or given
    wall, cpu = (median(answer[kind] for answer in warm) for kind in ("wall", "cpu"))
    return {
        "wall": wall,
        "cpu": cpu,
        "pairs_a_second": pairs / wall,
        "pairs_a_cpu_second": pairs / cpu,
        "load_s": loading["wall"],
        "first_result_s": given[0]["wall"],
        "first_result_cpu_s": given[0]["cpu"],
        "from_start_s": loading["wall"] + given[0]["wall"],
        "from_start_cpu_s": loading["cpu"] + given[0]["cpu"],
        "peak_mb": max(answer["peak_mb"] for answer in given),
        "ndcg@10": quality(asked, [answer["scores"] for answer in given]),
        "each_wall": [answer["wall"] for answer in warm],
        "each_cpu": [answer["cpu"] for answer in warm],
    }


def languages(options: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds a token are what differs: translations are of other lengths."""
    from polyrank.base import load_base

    tokenizer = load_base("e5-small").tokenizer
    one = requests("en", options.queries, options.depth)
    engine = Engine(sys.executable, "polyrank fp32", "composition", options.threads)
    engine.ask(one[0])
    ratios = []
    for alone, together in zip(one, mixed(one), strict=True):
        spent = []
        for request in (alone, together):
            texts = [text for text, _ in request["documents"]]
            rows = tokenizer(texts, truncation=True, max_length=240)["input_ids"]
            spent.append(engine.ask(request)["cpu"] / sum(map(len, rows)))
        ratios.append(spent[1] / spent[0])
    engine.close()
    return {"mixed_over_one": median(ratios), "each": ratios, "languages": MIXED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a cross-encoder's folder")
    parser.add_argument("--peer-python")
    parser.add_argument("--engines", help="names, with commas; else all")
    parser.add_argument("--languages", default="en,ru,tr,zh")
    parser.add_argument("--queries", type=int, default=3, help="of each language")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--remark", default="", help="what else the machine did")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    result = {
        "machine": machine(),
        "threads": options.threads,
        "remark": options.remark,
        "load_average": os.getloadavg()[0],
        "queries": options.queries,
        "depth": options.depth,
        "languages": options.languages,
        "engines": compared(options),
        "mixed": languages(options),
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
