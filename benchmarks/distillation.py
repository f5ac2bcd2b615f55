"""Distilled models beside their teacher: quality, loyalty, speed and size.

    python benchmarks/distillation.py runs/en-sw runs/en-tr --work runs/distillation \\
        --output benchmarks/results/distillation.json

Three rerankers reorder the same best candidates of the dense first stage: the teacher (the base
with its modules, adapters routed 'split', or the cross-encoder that taught), the same over the
vocabulary of the student, and the student. Each pair of languages gets its own sample of topics,
spread over the collection. A test compares two rerankers topic by topic, a topic's value being its
mean over the pairs that it is asked in. Runs are kept in --work, and a stopped benchmark goes on.
`--no-speed` leaves the timing out; the same command without it then times alone, on a quiet
machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyrank.base import DEFAULT_BASE, load_base
from polyrank.collections.bundled import bundled_languages
from polyrank.collections.load import load_collection
from polyrank.collections.records import Collection, Run
from polyrank.collections.trec import read_run, write_run
from polyrank.evaluation import evaluate
from polyrank.evaluation.contenders import TEACHER, Contender, contenders
from polyrank.evaluation.loyalty import MEASURES, loyalty
from polyrank.evaluation.side_by_side import Named, side_by_side
from polyrank.evaluation.significance import bootstrap_interval, holm, randomisation_test
from polyrank.index.dense import Dense
from polyrank.machine import machine
from polyrank.rerankers.distilled_folder import verify

FIRST = "dense"
MEASURE = "nDCG@10"
COLLECTIONS = {"ntrex": "NTREX", "xquad": "XQuAD"}
SETTINGS = ("topics", "depth", "max_length", "ranking", "seed")


@dataclass(frozen=True)
class Task:
    """One collection in one pair of languages, and the number of its sample."""

    collection: str
    query_language: str
    document_language: str
    offset: int

    def __str__(self) -> str:
        return f"{self.collection} {self.query_language}-{self.document_language}"


def digest(*parts: Any) -> str:
    """A short name of values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


# --- runs ----------------------------------------------------------------------------------------


def tasks(source: str, target: str) -> list[Task]:
    """Both directions and within each language, of every collection that has both languages."""
    pairs = [(source, source), (target, target), (source, target), (target, source)]
    return [
        Task(name, *pair, offset)
        for name in COLLECTIONS
        if {source, target} <= set(bundled_languages(name))
        for offset, pair in enumerate(pairs)
    ]


def spread(collection: Collection, count: int, offset: int) -> Collection:
    """`count` queries at even distance, from another starting point for every offset."""
    ids = sorted(collection.queries)
    step = max(1, len(ids) // count)
    kept = set(ids[offset % step :: step][:count])
    return replace(
        collection,
        queries={i: q for i, q in collection.queries.items() if i in kept},
        qrels=[j for j in collection.qrels if j.query_id in kept],
    )


class Runner:
    """Makes a run, or reads it from the work folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.indexes = options, {}  # type: ignore[var-annotated]
        self.base = load_base(DEFAULT_BASE)

    def first(self, task: Task, texts: Collection) -> Run:
        """The best candidates of the dense first stage."""

        def make() -> Run:
            key = (task.collection, task.document_language)
            if key not in self.indexes:
                documents = list(texts.documents.values())
                self.indexes[key] = Dense(
                    documents, base=self.base, max_length=self.options.max_length
                )
            return self.indexes[key].search(list(texts.queries.values()), self.options.depth)

        return self.kept(task, FIRST, str(self.base.fingerprint), make)

    def reranked(self, task: Task, one: Contender, texts: Collection, first: Run) -> Run:
        """The same candidates in another order."""
        return self.kept(
            task,
            one.name,
            digest(one.weights),
            lambda: one.reranker.rerank(texts, first, progress=False),
        )

    def kept(self, task: Task, name: str, identity: str, make: Any) -> Run:
        settings = [getattr(self.options, key) for key in SETTINGS]
        mark = digest(identity, str(self.base.fingerprint), settings, task.offset)
        path = self.options.work / f"{str(task).replace(' ', '.')}.{name.split()[-1]}.{mark}.trec"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_run(make(), path)
        return read_run(path)  # rounded as written, so that a resumed benchmark is equal


# --- figures -------------------------------------------------------------------------------------

Values = dict[Task, dict[str, dict[str, float]]]  # pair → reranker → topic → nDCG@10


def quality(
    runner: Runner, systems: Sequence[Contender], where: Sequence[Task]
) -> tuple[Values, dict[str, Any]]:
    """nDCG@10 by topic, and by pair with the loyalty to the teacher."""
    values: Values = {}
    pairs: dict[str, Any] = {}
    for task in where:
        q, d = task.query_language, task.document_language
        texts = load_collection(task.collection, queries=q, documents=d)
        texts = spread(texts, runner.options.topics, task.offset)
        runs = {FIRST: runner.first(task, texts)}
        for one in systems:
            runs[one.name] = runner.reranked(task, one, texts, runs[FIRST])
        values[task] = {
            name: dict(evaluate(run, texts.qrels, MEASURE).per_query[MEASURE])
            for name, run in runs.items()
        }
        pairs[str(task)] = {
            "topics": len(texts.queries),
            MEASURE: {name: mean(values[task][name].values()) for name in runs},
            "loyalty": {
                one.name: loyal(runs[one.name], runs[TEACHER])
                for one in systems
                if one.name != TEACHER
            },
        }
        print(f"{task}: {pairs[str(task)]}", file=sys.stderr, flush=True)
    return values, pairs


def loyal(run: Run, teacher: Run) -> dict[str, float | None]:
    """Label, probability and regression loyalty, and Kendall's τ."""
    found = loyalty(run, teacher)
    rounded = {name: found[name] for name in MEASURES}
    return {name: None if v is None else round(v, 4) for name, v in rounded.items()}


def mean(values: Any) -> float:
    return round(float(np.mean(list(values))), 4)


def topic_means(values: Values, collection: str, name: str) -> dict[str, float]:
    """A topic's mean over the pairs that it is asked in."""
    found: dict[str, list[float]] = {}
    for task, by_system in values.items():
        if task.collection == collection:
            for topic, value in by_system[name].items():
                found.setdefault(topic, []).append(value)
    return {topic: float(np.mean(row)) for topic, row in sorted(found.items())}


def compare(
    values: Values, model: str, systems: Sequence[Contender], seed: int
) -> list[dict[str, Any]]:
    """Paired randomisation tests of nDCG@10 against the teacher."""
    found = []
    for collection in dict.fromkeys(task.collection for task in values):
        theirs = topic_means(values, collection, TEACHER)
        for name in [one.name for one in reversed(systems) if one.name != TEACHER]:
            ours = topic_means(values, collection, name)
            one, two = np.array(list(ours.values())), np.array([theirs[topic] for topic in ours])
            low, high = bootstrap_interval(one, two, seed=seed)
            found.append(
                {
                    "model": model,
                    "collection": COLLECTIONS[collection],
                    "system": name,
                    "topics": len(one),
                    "difference": round(float((one - two).mean()), 4),
                    "interval": [round(low, 4), round(high, 4)],
                    "p": randomisation_test(one, two, seed=seed),
                }
            )
    return found


def speed(
    runner: Runner, systems: Sequence[Contender], task: Task, queries: int, repeats: int
) -> dict[str, Any]:
    """Pairs a second of each, in turn over the same pairs: median, slowest and fastest pass."""
    texts = load_collection(
        task.collection, queries=task.query_language, documents=task.document_language
    )
    texts = spread(texts, runner.options.topics, task.offset)
    first = runner.first(task, texts)
    some = {query: first[query] for query in sorted(first)[:queries]}
    named = [Named(s.name, s.reranker, s.parameters, s.megabytes) for s in systems]
    found = side_by_side(named, texts, some, repeats=repeats, progress=False)
    keys = ("pairs_per_second", "slowest", "fastest")
    return {
        "pairs": f"{found.pairs} of {task}",
        "passes": repeats,
        "machine": machine(),
        "systems": {
            row.name: {key: round(getattr(row, key), 1) for key in keys} for row in found.rows
        },
    }


def named(folders: Sequence[Path]) -> dict[Path, str]:
    """Folder → its pair of languages, and its own name where several are of one pair."""
    cards = {folder: verify(folder) for folder in folders}
    for folder, card in cards.items():
        if card is None:
            sys.exit(f"{folder} is not a folder that 'polyrank distill' wrote")
    pairs = {folder: f"{card['source']}–{card['target']}" for folder, card in cards.items() if card}
    alone = Counter(pairs.values())
    return {f: p if alone[p] == 1 else f"{p} {f.name}" for f, p in pairs.items()}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, by model, and the tests over all of them."""
    runner = Runner(options)
    models: dict[str, Any] = {}
    tests: list[dict[str, Any]] = []
    names = named(options.models)
    for folder in options.models:
        systems = contenders(folder, ranking=options.ranking, max_length=options.max_length)
        card = verify(folder)
        assert card is not None  # or it would be no contender
        name = names[folder]
        where = tasks(card["source"], card["target"])
        values, pairs = quality(runner, systems, where)
        tests += compare(values, name, systems, options.seed)
        collections = dict.fromkeys(task.collection for task in where)
        models[name] = {
            "layers": card["layers"],
            "vocabulary": card["vocabulary"],
            "recipe": card["recipe"],
            "systems": {
                one.name: {"parameters": one.parameters, "MB on disk": round(one.megabytes, 1)}
                for one in systems
            },
            MEASURE: {
                COLLECTIONS[c]: {
                    s: mean(topic_means(values, c, s).values())
                    for s in (FIRST, *(one.name for one in systems))
                }
                for c in collections
            },
            "pairs": pairs,
        }
        if options.speed:
            timed = [task for task in where if task.query_language != task.document_language][-1]
            models[name]["speed"] = speed(
                runner, systems, timed, options.timed_queries, options.passes
            )
    for row, corrected in zip(tests, holm([row["p"] for row in tests]), strict=True):
        row["p"], row["p_holm"] = round(row["p"], 5), round(corrected, 5)
    return {"models": models, "tests": tests}


# --- the tables ----------------------------------------------------------------------------------


def rows(result: dict[str, Any]) -> Iterator[str]:
    """The tables of README.md."""
    heads = ["model", "parameters", "MB", "pairs/s", *COLLECTIONS.values(), *MEASURES]
    yield f"| {' | '.join(heads)} |"
    yield "|---|" + "---:|" * (len(heads) - 1)
    for model, facts in result["models"].items():
        for name in (FIRST, *facts["systems"]):
            size = facts["systems"].get(name)
            cells = [
                f"{model} {name}",
                f"{size['parameters'] / 1e6:.1f} M" if size else "",
                f"{size['MB on disk']:.0f}" if size else "",
                per_second(facts.get("speed"), name),
                *(
                    f"{facts[MEASURE][c][name]:.3f}" if c in facts[MEASURE] else "–"
                    for c in COLLECTIONS.values()
                ),
                *(loyalty_cell(facts["pairs"], name, m) for m in MEASURES),
            ]
            yield f"| {' | '.join(cells)} |"
    yield ""
    yield "| compared with the teacher | on | topics | difference | 95 % interval | p | p (Holm) |"
    yield "|---|---|---|---|---|---|---|"
    for t in result["tests"]:
        low, high = t["interval"]
        yield (
            f"| {t['model']} {t['system']} | {t['collection']} | {t['topics']} "
            f"| {t['difference']:+.3f} | {low:+.3f} to {high:+.3f} | {t['p']:.4f} "
            f"| {t['p_holm']:.4f} |"
        )


def per_second(timed: dict[str, Any] | None, name: str) -> str:
    if timed is None or name not in timed["systems"]:
        return ""
    row = timed["systems"][name]
    return f"{row['pairs_per_second']:.0f} ({row['slowest']:.0f} to {row['fastest']:.0f})"


def loyalty_cell(pairs: dict[str, Any], name: str, measure: str) -> str:
    """The mean over the pairs of languages, each of as many topics."""
    found = [pair["loyalty"].get(name, {}).get(measure) for pair in pairs.values()]
    there = [value for value in found if value is not None]
    return f"{np.mean(there):.2f}" if there else ""


def main() -> None:
    """Makes what is missing, prints the tables, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+", help="folders of polyrank distill")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs; kept")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write")
    parser.add_argument("--ranking", help="the teacher's ranking module; else that of the card")
    parser.add_argument("--topics", type=int, default=30, help="queries of a pair of languages")
    parser.add_argument("--depth", type=int, default=10, help="candidates that are reranked")
    parser.add_argument("--max-length", type=int, default=160)
    parser.add_argument("--timed-queries", type=int, default=8)
    parser.add_argument("--passes", type=int, default=5, help="timed passes over the same pairs")
    parser.add_argument("--no-speed", dest="speed", action="store_false", help="do not time")
    parser.add_argument("--seed", type=int, default=13)
    options = parser.parse_args()
    started = time.time()
    result = measure(options)
    result["settings"] = {name: getattr(options, name) for name in SETTINGS}
    result["machine"] = f"{machine()}, torch {torch.__version__}"
    result["minutes"] = round((time.time() - started) / 60, 1)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print("\n".join(rows(result)))


if __name__ == "__main__":
    main()
