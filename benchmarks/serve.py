"""Load on a server of this machine, for a bounded time, beside the same model without a server.

    python benchmarks/serve.py --seconds 20 --output benchmarks/results/serve.json
    python benchmarks/serve.py --model CLASSIFIER --peer PYTHON    # beside sentence-transformers

A server process is started on a free port of 127.0.0.1. First one process ranks the requests by
itself; then 1, 8 and 64 connections send them, each its next one when the last was answered, for so
many seconds each; what is not answered after as many seconds more is given up and counted. Requests
are of 1 to 40 documents of 5 to 120 words. Every answer is compared with the one in process: it
must have the same documents in it, and scores within 1e-4. With `--peer`, a Python that has
sentence-transformers and FastAPI, the same load goes to a CrossEncoder of the same folder behind
FastAPI (`serve_peer.py`), its answers compared with ours. Reported are pairs a second, the median
and 99th percentile of the time to an answer, and the memory of the server before and after.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from polyrank.machine import machine

CONNECTIONS = (1, 8, 64)
TEXT = (
    "water boils at one hundred degrees the river is long and cold in winter people walk along "
    "its bank under old trees while boats carry iron salt and stone to the city every morning"
)
JSON = {"Content-Type": "application/json"}
Body = dict[str, Any]


def requests_of(count: int, most: int, seed: int = 1) -> list[Body]:
    """Requests of 1 to `most` documents, in English, raw scores."""
    source, words = random.Random(seed), TEXT.split()

    def text(least: int, most: int) -> str:
        return " ".join(source.choices(words, k=source.randint(least, most)))

    return [
        {
            "query": text(3, 8),
            "documents": [text(5, 120) for _ in range(source.randint(1, most))],
            "query_language": "en",
            "document_language": "en",
            "raw_scores": True,
        }
        for _ in range(count)
    ]


def in_process(spec: str, bodies: Sequence[Body], seconds: float) -> tuple[list[Any], float]:
    """Scores of each request by its documents' places, and pairs a second.

    Requests that are left when the seconds are over are scored, too, and not counted.
    """
    from polyrank.rerankers.load import load_reranker

    reranker: Any = load_reranker(spec, fallback="none")
    reranker.batch_tokens = 4096
    reranker.rank(bodies[0]["query"], bodies[0]["documents"], "en", "en")  # warms up
    answers: list[Any] = []
    pairs, begun, took = 0, time.perf_counter(), 0.0
    for body in bodies:
        hits = reranker.rank(body["query"], body["documents"], "en", "en")
        answers.append({int(hit.document_id): hit.score for hit in hits})
        if time.perf_counter() - begun < seconds or not pairs:
            pairs, took = pairs + len(hits), time.perf_counter() - begun
    return answers, pairs / took


def memory(pid: int) -> float:
    """Resident MiB of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else float("nan")


class Load:
    """Connections that ask for so many seconds.

    Attributes:
        times: seconds of each answer. pairs: in them. wrong: answers that are not as expected.
        unfinished: requests that were given up.
        statuses: how often each status came that is not 200.
    """

    def __init__(self, url: str, bodies: Sequence[Body], answers: Sequence[Any]) -> None:
        self.host, self.bodies, self.answers = urlsplit(url).netloc, bodies, answers
        self.times: list[float] = []
        self.pairs = self.wrong = self.unfinished = 0
        self.statuses: dict[int, int] = {}
        self._lock = threading.Lock()

    def run(self, connections: int, seconds: float) -> dict[str, Any]:
        """Ask, and what came of it."""
        begun = time.perf_counter()
        threads = [
            threading.Thread(target=self._ask, args=(number, begun + seconds, seconds))
            for number in range(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent, times = time.perf_counter() - begun, sorted(self.times)
        return {
            "connections": connections,
            "answers": len(times),
            "pairs_per_second": round(self.pairs / spent, 1),
            "p50_ms": round(1000 * times[len(times) // 2]) if times else None,
            "p99_ms": round(1000 * times[min(len(times) - 1, len(times) * 99 // 100)])
            if times
            else None,
            "wrong": self.wrong,
            "unfinished": self.unfinished,
            "other_statuses": self.statuses,
        }

    def _ask(self, number: int, until: float, patience: float) -> None:
        source = random.Random(number)
        connection = http.client.HTTPConnection(self.host)
        while (begun := time.perf_counter()) < until:
            place = source.randrange(len(self.bodies))
            connection.timeout = until + patience - begun
            if connection.sock:
                connection.sock.settimeout(connection.timeout)
            try:
                connection.request("POST", "/rerank", json.dumps(self.bodies[place]), JSON)
                answer = connection.getresponse()
                body = answer.read()
            except TimeoutError:
                with self._lock:
                    self.unfinished += 1
                break
            spent = time.perf_counter() - begun
            with self._lock:
                if answer.status != 200:
                    self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                    continue
                rows = json.loads(body)["results"]
                self.times.append(spent)
                self.pairs += len(rows)
                self.wrong += not _same(rows, self.answers[place])
        connection.close()  # the server drops what nobody waits for


def _same(rows: Sequence[Any], expected: dict[int, float]) -> bool:
    found = {row["index"]: row["relevance_score"] for row in rows}
    return found.keys() == expected.keys() and all(
        abs(score - expected[place]) < 1e-4 for place, score in found.items()
    )


def of_polyrank(spec: str) -> list[str]:
    """The command of our server."""
    command = [sys.executable, "-c", "from polyrank.cli import main; main()"]
    return [*command, "serve", "--port", "0", "--model", spec]


def of_peer(python: Path, folder: str) -> list[str]:
    """The command of the other server."""
    return [str(python), str(Path(__file__).with_name("serve_peer.py")), folder]


def started(command: Sequence[str]) -> tuple[subprocess.Popen[str], str]:
    """A server process, and its address, once it said that."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"at (http://\S+)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, found[1]
    raise SystemExit("the server did not start")


def under_load(
    command: Sequence[str],
    bodies: Sequence[Body],
    answers: Sequence[Any],
    connections: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """What a server does under each number of connections, from its start to its end."""
    begun = time.perf_counter()
    process, url = started(command)
    try:
        _first_answer(url, bodies[0])
        start = time.perf_counter() - begun
        before, rows = memory(process.pid), []
        for count in connections:
            rows.append(Load(url, bodies, answers).run(count, seconds))
            print(rows[-1], flush=True)
        after = memory(process.pid)
        print(f"first answer after {start:.1f} s; memory: {before:.0f} MiB, then {after:.0f} MiB")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    return {
        "seconds_to_first_answer": round(start, 1),
        "memory_mib": [round(before), round(after)],
        "connections": rows,
    }


def _first_answer(url: str, body: Body) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
    connection.request("POST", "/rerank", json.dumps(body), JSON)
    connection.getresponse().read()
    connection.close()


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="e5-small")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each measurement")
    parser.add_argument("--requests", type=int, default=64, help="different ones")
    parser.add_argument("--connections", type=int, nargs="*", default=CONNECTIONS)
    parser.add_argument("--documents", type=int, default=40, help="of a request, at most")
    parser.add_argument("--peer", type=Path, help="a Python with sentence-transformers, FastAPI")
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--note", default="", help="kept in the output, such as who else was there")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the server is stopped then, too
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # before anything imports PyTorch
    bodies = requests_of(given.requests, given.documents)
    answers, alone = in_process(given.model, bodies, given.seconds)
    print(f"in process, request by request: {alone:.1f} pairs a second", flush=True)
    load = bodies, answers, given.connections, given.seconds
    result = {
        "machine": machine(),
        "note": given.note,
        "model": Path(given.model).name,
        "seconds": given.seconds,
        "threads": given.threads,
        "in_process_pairs_per_second": round(alone, 1),
        "polyrank": under_load(of_polyrank(given.model), *load),
    }
    if given.peer:
        result["sentence_transformers"] = under_load(of_peer(given.peer, given.model), *load)
    if given.output:
        given.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
