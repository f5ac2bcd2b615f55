"""A real server on 127.0.0.1, over a toy scorer whose scores can be told by hand."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi", reason="needs polyrank[serve]")
pytest.importorskip("uvicorn", reason="needs polyrank[serve]")
pytest.importorskip("prometheus_client", reason="needs polyrank[serve]")


class Toy:
    """Scores a pair by the letters that both texts have; 'SLOW' sleeps, 'BROKEN' raises."""

    max_length = 40  # words of a pair

    def __init__(self):
        self.batches = []
        self.delay = 0.0

    def score(self, pairs):
        self.batches.append([(query.text, document.text) for query, document in pairs])
        if any("BROKEN" in document.text for _, document in pairs):
            raise RuntimeError("secret words of a document in /secret/path")
        if any("ENDLESS" in document.text for _, document in pairs):
            return [float("nan")] * len(pairs)
        time.sleep(self.delay)
        return [self.one(query.text, document.text) for query, document in pairs]

    @staticmethod
    def one(query, document):
        words = document.split()[:30]
        return sum(len(set(query.lower()) & set(word.lower())) for word in words) / 7 - 1


class Toylist:
    """A listwise reranker: a document's score is its place by length in its own list."""

    pointwise = False

    def rank_all(self, requests):
        from polyrank.notes import Note, Notes
        from polyrank.rerankers.base import best_first

        for request in requests:
            lengths = sorted(len(d.text) for d in request.documents)
            scores = [float(lengths.index(len(d.text))) for d in request.documents]
            notes = Notes({Note("malformed", "an answer repeated a number"): 1})
            yield best_first(request, scores, notes=notes)

    def identity(self):
        return {}


class Answer(SimpleNamespace):
    """Status, headers and body of an answer; `json` is the body read."""

    @property
    def json(self):
        return json.loads(self.body)


@pytest.fixture(scope="session")
def post():
    """post(url, value or bytes, **headers) -> Answer, whatever its status."""

    def send(url, value, method="POST", timeout=60, **headers):
        data = value if isinstance(value, bytes | type(None)) else json.dumps(value).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as found:
                return Answer(status=found.status, headers=found.headers, body=found.read())
        except urllib.error.HTTPError as error:
            return Answer(status=error.code, headers=error.headers, body=error.read())

    return send


@pytest.fixture(scope="session")
def get(post):
    """get(url, **headers) -> Answer."""
    return lambda url, **headers: post(url, None, "GET", **headers)


class Running:
    """A server in a thread of this process, and its service."""

    def __init__(self, service, shown=None):
        import uvicorn

        from polyrank.server.app import create_app
        from polyrank.server.connections import punctual

        self.service = service
        config = uvicorn.Config(
            create_app(service, shown),
            port=0,
            http=punctual(service.settings.body_seconds),
            log_level="critical",
            timeout_keep_alive=75,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until = time.monotonic() + 30
        while not self.server.started:
            assert time.monotonic() < until and self.thread.is_alive()
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture(scope="session")
def start():
    """start({name: reranker}, indexes, **settings) -> a running server; stopped at the end.

    shown: what its page begins with. calibrations: model -> what its scores mean.
    """
    running = []

    def begin(models, indexes=None, shown=None, calibrations=None, **settings):
        from polyrank.rerankers.load import load_reranker
        from polyrank.server.models import Served
        from polyrank.server.service import Service
        from polyrank.server.settings import Settings

        served = {
            name: Served(name, load_reranker(one), (calibrations or {}).get(name))
            for name, one in models.items()
        }
        running.append(Running(Service(served, indexes, Settings(**settings)), shown))
        return running[-1]

    yield begin
    for one in running:
        one.stop()


@pytest.fixture(scope="session")
def toy():
    """The scorer behind `server`."""
    return Toy()


@pytest.fixture(scope="session")
def server(start, toy):
    """A server of the toy scorer, called 'toy', and of a listwise one, called 'list'."""
    limits = {"max_body": 1 << 20, "max_documents": 50, "body_seconds": 2.0}
    return start({"toy": toy, "list": Toylist()}, step_tokens=200, **limits)


@pytest.fixture(scope="session")
def words():
    """Texts of letters: words(count, seed)."""
    import random

    def make(count, seed):
        source = random.Random(seed)
        return " ".join("".join(source.choices("abcdefgh", k=5)) for _ in range(count))

    return make
