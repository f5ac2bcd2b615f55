"""What clients do wrong, or with intent: each its status, and the next request is answered."""

import http.client
import json
import socket
import threading
import time

import pytest

GOOD = {"query": "abc", "documents": ["a", "b"]}


@pytest.fixture(autouse=True)
def still_answers(server, post):
    """After each test the server scores as before."""
    yield
    assert post(server.url + "/rerank", GOOD).status == 200
    assert server.service.healthy


def raw(server, data, seconds=10.0, close=True):
    """What comes back for these bytes, until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as opened:
        for part in data if isinstance(data, list) else [data]:
            opened.sendall(part)
        found = b""
        try:
            while close and (more := opened.recv(65536)):
                found += more
        except (TimeoutError, ConnectionResetError):
            pass
        return found


def head(length, path="/rerank"):
    return (
        f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


BODIES = {
    "nothing": (b"", 400),
    "no json": (b"query=abc", 400),
    "half of it": (json.dumps(GOOD).encode()[:-5], 400),
    "invalid utf-8": (b'{"query": "\xff\xfe", "documents": ["a"]}', 400),
    "utf-16": (json.dumps(GOOD).encode("utf-16"), 400),
    "lone surrogate": (b'{"query": "\\ud800", "documents": ["a"]}', 400),
    "deep lists": (b'{"query": "a", "documents": ' + b"[" * 100_000, 400),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "nan": (b'{"query": "a", "documents": ["a"], "top_n": NaN}', 422),
    "infinity": (b'{"query": "a", "documents": ["a"], "top_n": 1e999}', 422),
    "nan threshold": (
        b'{"query": "a", "documents": ["a"], "relevant_spans": {"threshold": NaN}}',
        422,
    ),
    "negative": (b'{"query": "a", "documents": ["a"], "top_n": -1}', 422),
    "huge number": (b'{"query": "a", "documents": ["a"], "top_n": ' + b"9" * 5000 + b"}", 400),
    "large number": (b'{"query": "a", "documents": ["a"], "top_n": 99999999999999999999}', 422),
    "number as a text": (b'{"query": "a", "documents": [1]}', 422),
    "text as documents": (b'{"query": "a", "documents": "abc"}', 422),
    "no documents": (b'{"query": "a"}', 422),
    "empty documents": (b'{"query": "a", "documents": []}', 400),
    "both names": (b'{"query": "a", "documents": ["a"], "texts": ["a"]}', 422),
    "no query": (b'{"documents": ["a"]}', 422),
    "empty query": (b'{"query": "  ", "documents": ["a"]}', 422),
    "no text": (b'{"query": "a", "documents": [{"title": "a"}]}', 422),
    "equal ids": (
        b'{"query": "a", "documents": [{"id": "x", "text": "a"}, {"id": "x", "text": "b"}]}',
        422,
    ),
    "too many documents": (json.dumps({"query": "a", "documents": ["a"] * 51}).encode(), 422),
    "unknown model": (b'{"query": "a", "documents": ["a"], "model": "../../etc/passwd"}', 404),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_wrong_body(server, post, name):
    body, status = BODIES[name]
    answer = post(server.url + "/rerank", body)
    assert answer.status == status
    found = answer.json
    assert found["message"] and found["detail"] == found["message"]
    assert found["error"]["message"] == found["message"] and found["error"]["code"]


def test_an_error_has_teis_shape_for_a_tei_body(server, post):
    found = post(server.url + "/rerank", {"query": "a", "texts": []})
    assert found.status == 400 and set(found.json) == {"error", "error_type"}
    assert found.json["error_type"] == "empty"


def test_other_routes_and_methods(server, post, get):
    assert get(server.url + "/nothing").status == 404
    assert get(server.url + "/rerank").status == 405
    assert post(server.url + "/health", GOOD).status == 405
    assert get(server.url + "/../../etc/passwd").json["detail"]


def test_empty_texts_are_scored(server, post):
    found = post(server.url + "/rerank", {"query": "a", "documents": ["", " ", "a"]}).json
    assert len(found["results"]) == 3


# --- models that fail -----------------------------------------------------------------------------


def test_a_model_that_fails_says_nothing_of_texts_and_paths(server, post, caplog):
    answer = post(server.url + "/rerank", {"query": "secret", "documents": ["BROKEN secret"]})
    assert answer.status == 500
    assert b"secret" not in answer.body and "secret" not in caplog.text


def test_scores_that_are_none_are_a_500(server, post):
    assert post(server.url + "/rerank", {"query": "a", "documents": ["ENDLESS"]}).status == 500


def test_a_request_that_fails_leaves_those_of_its_batch_alone(server, post, toy):
    toy.delay, found = 0.2, {}

    def send(name, text):
        body = {"query": "abc", "documents": [text] * 3}
        found[name] = post(server.url + "/rerank", body).status

    threads = [
        threading.Thread(target=send, args=(name, text))
        for name, text in {"first": "a", "bad": "BROKEN", "good": "b", "other": "c"}.items()
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        toy.delay = 0.0
    assert found == {"first": 200, "bad": 500, "good": 200, "other": 200}


# --- bodies that are too large, too slow, or end early --------------------------------------------


def test_a_body_of_100_mb_is_refused(server, post):
    body = b'{"query": "a", "documents": ["' + b"a" * (100 << 20) + b'"]}'
    assert post(server.url + "/rerank", body).status == 413


def test_a_body_of_100_mb_in_chunks_is_refused(server):
    chunk = b"100000\r\n" + b"a" * (1 << 20) + b"\r\n"
    start = b"POST /rerank HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = raw(server, [start, *[chunk] * 100, b"0\r\n\r\n"], 30)
    assert answer.startswith(b"HTTP/1.1 413")


def test_one_long_text_is_refused_by_its_length(start, post):
    small = start({"toy": _one()}, max_characters=100)
    body = {"query": "a", "documents": ["a" * 101]}
    assert post(small.url + "/rerank", body).status == 422
    assert post(small.url + "/rerank", {**body, "documents": ["a" * 100]}).status == 200
    assert post(small.url + "/rerank", {"query": "a" * 101, "documents": ["a"]}).status == 422


def _one():
    class One:
        def score(self, pairs):
            return [1.0] * len(pairs)

    return One()


def test_a_half_sent_body_gets_408(server):
    begun = time.monotonic()
    answer = raw(server, head(100) + b'{"query": ')
    assert answer.startswith(b"HTTP/1.1 408") and time.monotonic() - begun < 8


def test_a_half_sent_head_gets_408(server):
    begun = time.monotonic()
    answer = raw(server, b"POST /rerank HTTP/1.1\r\nHost: he")
    assert answer.startswith(b"HTTP/1.1 408") and time.monotonic() - begun < 8


def test_a_connection_without_a_request_is_closed(server):
    begun = time.monotonic()
    assert raw(server, b"") == b"" and 1 < time.monotonic() - begun < 8


def test_a_half_sent_head_after_an_answer_gets_408(server):
    body = json.dumps(GOOD).encode()
    answer = raw(server, head(len(body)) + body + b"GET /ping HT")
    assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 408" in answer


def test_an_idle_connection_stays_open_after_an_answer(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    sockets = set()
    for pause in (2.5, 0):  # longer than a head may take
        connection.request("POST", "/rerank", json.dumps(GOOD))
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
        sockets.add(connection.sock)
        time.sleep(pause)
    assert len(sockets) == 1
    connection.close()


def test_a_client_that_leaves_amid_its_body(server):
    assert raw(server, head(100) + b'{"query": ', close=False) == b""


def test_a_slow_client_is_answered(server):
    body = json.dumps(GOOD).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as opened:
        opened.sendall(head(len(body)))
        for byte in range(0, len(body), 8):
            opened.sendall(body[byte : byte + 8])
            time.sleep(0.05)
        assert opened.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"GET\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /rerank HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http(server, data):
    answer = raw(server, data, 3)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


def test_pairs_of_clients_that_left_are_dropped(server, toy, post, get, caplog):
    queue = server.service.queue
    before, toy.delay = queue.dropped, 0.1
    left, broken = answered(server, get, "499"), answered(server, get, "500")
    body = json.dumps({"query": "abc", "documents": ["word " * 25] * 50}).encode()
    opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    try:
        for one in opened:
            one.sendall(head(len(body)) + body)
        waited(lambda: queue.waiting == 8)
        for one in opened:
            one.close()
        # 8 × 50 pairs in steps of seven would take six seconds
        waited(lambda: queue.waiting == 0, 3)
    finally:
        toy.delay = 0.0
    assert queue.tokens == 0 and queue.dropped - before > 200
    waited(lambda: answered(server, get, "499") == left + 8)
    assert answered(server, get, "500") == broken and not caplog.records


def answered(server, get, status):
    """How many answers of /rerank had a status, by what /metrics tells."""
    line = f'polyrank_requests_total{{route="/rerank",status="{status}"}} '
    lines = get(server.url + "/metrics").body.decode().splitlines()
    return sum(float(one.removeprefix(line)) for one in lines if one.startswith(line))


def waited(condition, seconds=10):
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


# --- keys -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(start):
    return start({"toy": _one()}, keys=("first key", "second"))


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", "Basic second", "Bearer secon", "Bearer ключ"]
)
def test_a_wrong_key_is_a_401(locked, post, given):
    headers = {} if given is None else {"Authorization": given.encode().decode("latin-1")}
    answer = post(locked.url + "/rerank", GOOD, **headers)
    assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("given", ["Bearer first key", "bearer second"])
def test_a_key_opens(locked, post, given):
    assert post(locked.url + "/rerank", GOOD, Authorization=given).status == 200


def test_questions_need_no_key(locked, get):
    assert get(locked.url + "/health").status == get(locked.url + "/metrics").status == 200


# --- for long -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_is_flat_over_ten_thousand_requests(server):
    import http.client

    def resident():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def ask(count):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for number in range(count):
            body = {"query": f"abc {number}", "documents": [f"word {number}"] * 5}
            connection.request("POST", "/rerank", json.dumps(body).encode())
            answer = connection.getresponse()
            assert answer.status == 200 and len(json.loads(answer.read())["results"]) == 5
        connection.close()

    def together(count):
        threads = [threading.Thread(target=ask, args=(count // 8,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    toy = server.service.models["toy"].source
    together(2000)
    toy.batches.clear()  # the scorer's own record
    before = resident()
    together(8000)
    toy.batches.clear()
    assert resident() - before < 20  # MiB
