"""The engine behind a server, against a real server on 127.0.0.1 that misbehaves on demand."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from polyrank.errors import UsageError
from polyrank.rerankers.llm import load_llm_reranker
from polyrank.rerankers.llm.engines.base import Sampling, Token
from polyrank.rerankers.llm.engines.http import HTTPEngine, ServerError


class Server:
    """An OpenAI-compatible server around the tiny Llama.

    top: how many likeliest tokens it lists; echo: whether it tells logprobs of prompts;
    form: 'lists', or 'content' as llama.cpp writes; ends: whether it lists tokens beyond the text;
    faults: what it does to the next requests, a status, 'drop' (closes the connection) or 'slow'.
    """

    def __init__(self, engine):
        self.engine, self.top, self.echo, self.form = engine, 20, True, "lists"
        self.ends = False
        self.faults, self.bodies, self.at_once, self.most_at_once = [], [], 0, 0
        self.lock = threading.Lock()
        handler = type("Handler", (Handler,), {"owner": self})
        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def complete(self, body):
        import torch

        tokenizer, prompt = self.engine.tokenizer, body["prompt"]
        if body.get("echo"):
            if not self.echo:
                return 400, {"error": {"message": "echo is not supported"}}
            with torch.inference_mode():
                logits = self.engine.model(input_ids=torch.tensor([prompt])).logits[0]
            told = logits.log_softmax(-1)
            numbers = [None] + [float(told[i, t]) for i, t in enumerate(prompt[1:])]
            names = [tokenizer.decode([token]) for token in prompt]
            return 200, choice({"tokens": names, "token_logprobs": numbers})
        whole = [Token(str(i), i) for i in range(len(tokenizer))]
        (logits,) = self.engine.logits([prompt], whole)
        told = torch.tensor(logits).log_softmax(-1)
        best = told.topk(min(self.top, body["logprobs"], len(told)))
        listed = [(tokenizer.decode([i]), v) for v, i in zip(*map(list, best), strict=True)]
        listed = [(name, float(value)) for name, value in listed]
        if body["max_tokens"] > 1:
            sampling = Sampling(body["max_tokens"], tuple(body.get("stop", ())))
            (answer,) = self.engine.generate([prompt], sampling)
            reason = "length" if answer.cut else "stop"
            names, numbers, text = list(answer.pieces), list(answer.logprobs), answer.text
            if self.ends:  # as vLLM: tokens of the stop and of the end, but not in the text
                for stop in sampling.stop:
                    text = text.split(stop)[0]
                names, numbers = [*names, "<|im_end|>"], [*numbers, -0.5]
            return 200, choice({"tokens": names, "token_logprobs": numbers}, text, reason)
        if self.form == "content":
            entries = [{"token": name, "logprob": value} for name, value in listed]
            return 200, choice({"content": [{**entries[0], "top_logprobs": entries}]})
        return 200, choice({"top_logprobs": [dict(listed)]})


def choice(logprobs, text="", reason="length"):
    return {"choices": [{"text": text, "logprobs": logprobs, "finish_reason": reason}]}


class Handler(BaseHTTPRequestHandler):
    owner: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.owner.lock:
            self.owner.bodies.append((self.path, self.headers.get("Authorization"), body))
            fault = self.owner.faults.pop(0) if self.owner.faults else None
            self.owner.at_once += 1
            self.owner.most_at_once = max(self.owner.most_at_once, self.owner.at_once)
        try:
            if fault == "drop":
                self.connection.shutdown(2)
                return
            if fault == "slow":
                time.sleep(1.0)
            if isinstance(fault, int):
                status, answer = fault, {"error": "as asked"}
            else:
                time.sleep(0.02)
                with self.owner.lock:  # the engine answers one at a time
                    status, answer = self.owner.complete(body)
            with self.owner.lock:  # before the client hears of it, and sends the next
                self.owner.at_once -= 1
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(engine):
    running = Server(engine)
    yield running
    running.httpd.shutdown()
    running.httpd.server_close()


def remote(server, engine, **options):
    options = {"wait": 0.01, "timeout": 30.0, **options}
    return HTTPEngine(server.url, "tiny", engine.tokenizer, **options)


@pytest.fixture
def prompts(engine):
    texts = ["water boils", "the river", "does it boil?", "yes no yes"]
    return [tuple(engine.tokenizer(text)["input_ids"]) for text in texts]


@pytest.fixture
def labels(engine):
    return [Token(word, engine.tokenizer(word)["input_ids"][0]) for word in ("yes", "no")]


def differences(rows):
    return [row[0] - row[1] for row in rows]


@pytest.mark.parametrize("top", [400, 20, 1])  # all listed; some; the label never is
@pytest.mark.parametrize("form", ["lists", "content"])
def test_differences_of_logprobs_are_those_of_logits(server, engine, prompts, labels, top, form):
    server.top, server.form = top, form
    found = remote(server, engine, top_logprobs=top).logits(prompts, labels)
    expected = engine.logits(prompts, labels)
    assert differences(found) == pytest.approx(differences(expected), abs=1e-4)
    assert all(value <= 0 for row in found for value in row)


def test_a_label_that_the_server_does_not_tell_is_an_error(server, engine, prompts, labels):
    server.top, server.echo = 1, False
    with pytest.raises(ServerError, match="does not tell the log-probability of 'yes'"):
        remote(server, engine).logits(prompts, labels)


def test_another_tokenizer_than_the_servers_is_an_error(server, engine, prompts):
    server.top = 1
    wrong = [Token("yes", engine.tokenizer("no")["input_ids"][0])]
    with pytest.raises(ServerError, match="Give the tokenizer of the model 'tiny'"):
        remote(server, engine).logits(prompts, wrong)


def test_answers_are_those_of_the_process(server, engine, prompts):
    sampling = Sampling(max_tokens=5)
    there, here = remote(server, engine), engine.generate(prompts, sampling)
    found = there.generate(prompts, sampling)
    assert [a.text for a in found] == [a.text for a in here]
    assert [a.cut for a in found] == [a.cut for a in here]
    for one, other in zip(found, here, strict=True):
        heard = other.logprobs[: len(one.logprobs)]  # half a character at the end adds no text
        assert one.logprobs == pytest.approx(heard, abs=1e-4)
    assert there.usage.generated_tokens == sum(len(a.logprobs) for a in here)
    assert there.usage.calls == 4 and there.usage.prompt_tokens == sum(map(len, prompts))


def test_tokens_beyond_the_text_are_left_out(server, engine, prompts):
    (whole,) = engine.generate(prompts[:1], Sampling(max_tokens=8))
    stop = next(
        piece for piece in whole.pieces[2:] if piece.strip() and piece not in whole.pieces[0]
    )
    server.ends = True
    (found,) = remote(server, engine).generate(prompts[:1], Sampling(8, (stop,)))
    assert found.text == whole.text.split(stop)[0]
    assert "".join(found.pieces).startswith(found.text) and stop not in found.text
    assert found.logprobs == pytest.approx(whole.logprobs[: len(found.logprobs)], abs=1e-4)


@pytest.mark.parametrize("fault", ["drop", 429, 500, 503])
def test_a_lost_connection_or_a_busy_server_is_tried_again(server, engine, prompts, labels, fault):
    expected = remote(server, engine).logits(prompts, labels)
    server.faults = [None, fault, fault]
    asked = len(server.bodies)
    assert remote(server, engine, concurrency=1).logits(prompts, labels) == expected
    # Only what failed was asked again: four prompts and two more tries.
    assert len(server.bodies) - asked == asked + 2


def test_a_time_out_is_tried_again(server, engine, prompts, labels):
    expected = remote(server, engine).logits(prompts[:1], labels)
    server.faults = ["slow"]
    assert remote(server, engine, timeout=0.4).logits(prompts[:1], labels) == expected


def test_a_server_that_stays_away_is_an_error_that_says_so(server, engine, prompts, labels):
    server.faults = ["drop"] * 100
    with pytest.raises(ServerError, match="did not answer in 3 tries"):
        remote(server, engine, retries=2).logits(prompts, labels)


def test_a_refusal_is_not_tried_again(server, engine, prompts, labels):
    server.faults = [404] * 100
    with pytest.raises(ServerError, match="refused the request with status 404"):
        remote(server, engine, concurrency=1).logits(prompts, labels)
    assert len(server.bodies) <= len(prompts)


def test_several_requests_at_a_time_but_no_more_than_asked(server, engine, prompts, labels):
    remote(server, engine, concurrency=3).logits(prompts * 4, labels)
    assert 2 <= server.most_at_once <= 3


def test_requests_hold_token_ids_and_the_key(server, engine, prompts, labels, monkeypatch):
    monkeypatch.setenv("POLYRANK_API_KEY", "secret")
    remote(server, engine).logits(prompts[:1], labels)
    path, key, body = server.bodies[0]
    assert path == "/v1/completions" and key == "Bearer secret"
    assert body["prompt"] == list(prompts[0]) and body["temperature"] == 0
    assert "secret" not in str(remote(server, engine).identity())


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://"])
def test_what_is_no_address_is_refused(url, engine):
    with pytest.raises(UsageError, match="not an address of a server"):
        HTTPEngine(url, "tiny", engine.tokenizer)


@pytest.mark.parametrize("scorer", ["label", "letters", "integers", "setwise"])
def test_scorers_rank_the_same_behind_a_server(server, llama, engine, ask, ids, scorer):
    server.top = 400
    request = ask(["water boils", "the river", "yes", "hundred degrees"])
    there = load_llm_reranker(
        "tiny", scorer, engine_url=server.url, tokenizer=str(llama), top_logprobs=400
    )
    here = load_llm_reranker(engine, scorer)
    assert ids(there.rank_request(request)) == ids(here.rank_request(request))
    assert there.size() is None and there.identity()["engine"] == server.url
