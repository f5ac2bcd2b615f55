"""The queue: fairness, bounds, batching that changes nothing, and the end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from polyrank.collections.records import Document, Query
from polyrank.server.work import Busy, Call, Closed, Pairs, Scored, WorkQueue


class Recorder:
    """Scores by length, and keeps what it was given; waits until it is let go."""

    def __init__(self):
        self.steps, self.gate = [], threading.Event()
        self.entered = threading.Event()

    def score(self, pairs):
        self.entered.set()
        assert self.gate.wait(10)
        self.steps.append([query.text for query, _ in pairs])
        return Scored([float(len(document.text)) for _, document in pairs])


def job(model, name, lengths):
    query = Query(name, name)
    pairs = [(query, Document(str(i), "x" * length)) for i, length in enumerate(lengths)]
    return Pairs(sum(lengths), name, model=model, prepare=lambda: (pairs, list(lengths)))


@pytest.fixture
def queue():
    made = WorkQueue(step_tokens=100, bound=1000, owner_bound=600)
    made.start()
    yield made
    made.close(10)


def test_scores_come_in_the_order_of_the_pairs(queue):
    model = Recorder()
    model.gate.set()
    one = job(model, "a", [30, 5, 80, 12])
    queue.submit(one)
    assert one.future.result(10).scores == [30.0, 5.0, 80.0, 12.0]
    assert queue.tokens == queue.waiting == 0


def test_a_large_request_is_split_and_a_small_one_does_not_wait_for_its_end(queue):
    model = Recorder()
    large, small = job(model, "large", [50] * 11), job(model, "small", [10] * 3)
    queue.submit(large)
    assert model.entered.wait(10)  # the first step of the large one runs
    queue.submit(small)
    model.gate.set()
    small.future.result(10), large.future.result(10)
    # 50 tokens a step for the oldest, and the small one in the next step's other half
    assert model.steps[:2] == [["large"] * 2, ["large", "small", "small", "small"]]
    assert sum(step.count("large") for step in model.steps) == 11


def test_the_bound_refuses_with_a_time_to_wait(queue):
    model = Recorder()
    first = job(model, "a", [300])
    queue.submit(first)
    assert model.entered.wait(10)
    queue.submit(job(model, "b", [500]))
    with pytest.raises(Busy) as refused:
        queue.submit(job(model, "c", [201]))
    assert refused.value.seconds >= 1
    with pytest.raises(Busy):
        queue.submit(job(model, "b", [101]))  # its owner's own bound
    queue.submit(job(model, "c", [200]))
    queue.submit(job(model, "c", [500]), bounded=False)  # of a request that was let in before
    model.gate.set()


def test_a_request_over_the_bound_is_taken_when_nothing_waits(queue):
    model = Recorder()
    model.gate.set()
    one = job(model, "a", [500] * 3)
    queue.submit(one)
    assert one.future.result(10).scores == [500.0] * 3


def test_dropped_jobs_are_not_scored(queue):
    model = Recorder()
    first, second = job(model, "a", [10]), job(model, "b", [10] * 4)
    queue.submit(first)
    assert model.entered.wait(10)
    queue.submit(second)
    second.drop()
    model.gate.set()
    assert first.future.result(10).scores == [10.0]
    third = job(model, "c", [10])
    queue.submit(third)
    third.future.result(10)
    assert model.steps == [["a"], ["c"]] and queue.tokens == 0


def test_calls_take_their_turn_and_may_fail(queue):
    good, bad = Call(1, function=lambda: 42), Call(1, function=lambda: 1 / 0)
    queue.submit(bad)
    queue.submit(good)
    assert good.future.result(10) == 42
    with pytest.raises(ZeroDivisionError):
        bad.future.result(10)


def test_closing_finishes_what_was_taken():
    queue, model = WorkQueue(100, 1000), Recorder()
    queue.start()
    jobs = [job(model, str(i), [60] * 3) for i in range(4)]
    for one in jobs:
        queue.submit(one)
    closing = threading.Thread(target=queue.close)
    closing.start()
    time.sleep(0.05)
    with pytest.raises(Closed):
        queue.submit(job(model, "late", [1]))
    model.gate.set()
    closing.join(10)
    assert [one.future.result(0).scores for one in jobs] == [[60.0] * 3] * 4


# --- over HTTP ------------------------------------------------------------------------------------


def test_no_answer_is_mixed_up_among_many_connections(server, post, toy, words):
    def ask(number):
        query, texts = (
            words(2, number),
            [words(1 + i % 9, i * number) for i in range(number % 40 + 1)],
        )
        body = {"query": query, "documents": texts, "raw_scores": True}
        found = post(server.url + "/rerank", body).json["results"]
        assert {row["index"]: row["relevance_score"] for row in found} == {
            i: pytest.approx(toy.one(query, text), abs=1e-8) for i, text in enumerate(texts)
        }
        return len(found)

    with ThreadPoolExecutor(32) as pool:
        counts = list(pool.map(ask, range(200)))
    assert counts == [number % 40 + 1 for number in range(200)]
    assert max(len({query for query, _ in batch}) for batch in toy.batches) > 1  # they shared steps


def test_429_says_when_to_come_again(start, post):
    from .conftest import Toy

    toy = Toy()
    toy.delay = 0.5
    small = start({"toy": toy}, step_tokens=20, max_queued_tokens=60)
    body = {"query": "abc", "documents": ["word " * 20] * 2}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(small.url + "/rerank", body), range(8)))
    refused = [answer for answer in answers if answer.status == 429]
    assert refused and {answer.status for answer in answers} == {200, 429}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    tei = {"query": "abc", "texts": ["word " * 20] * 2}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(small.url + "/rerank", tei), range(8)))
    shapes = {answer.json["error_type"] for answer in answers if answer.status == 429}
    assert shapes == {"overloaded"}
    toy.delay = 0.0


def test_shutdown_finishes_what_was_accepted(start, post):
    from .conftest import Toy

    toy = Toy()
    toy.delay = 0.1
    ending = start({"toy": toy}, step_tokens=20)
    body = {"query": "abc", "documents": ["word " * 10] * 6}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(post, ending.url + "/rerank", body) for _ in range(4)]
        while ending.service.queue.waiting < 4:
            time.sleep(0.01)
        ending.stop()
        assert [one.result().status for one in asked] == [200] * 4
    with pytest.raises(OSError):
        post(ending.url + "/rerank", body)
