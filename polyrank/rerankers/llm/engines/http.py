"""A language model behind any OpenAI-compatible server: vLLM, SGLang, llama.cpp and others.

Only `POST /v1/completions` is used. Prompts go out as token ids, so what is a control token was
decided here, and the server adds nothing in front.

Logits of labels are read as log-probabilities of the first token of the answer. A server lists only
the likeliest ones; the probability of a label that is absent is asked for by name, as that of the
last token of prompt + label (`echo`). A server that cannot tell it either gets a clear error: a
label is never taken to have probability 0.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate
from typing import Any, TypeVar

from polyrank.errors import PolyrankError
from polyrank.http_client import TRANSIENT, Busy, Unanswered, address, with_retries
from polyrank.notes import Notebook
from polyrank.rerankers.llm.engines.base import Generation, PromptIds, Sampling, Token, Usage

T = TypeVar("T")


class ServerError(PolyrankError):
    """A server of a language model that is unreachable, refuses, or lacks what was asked for."""


class Refused(ServerError):
    """A server that says no to a request, and will again."""


class HTTPEngine:
    """A model of an OpenAI-compatible server.

    Args:
        url: such as http://localhost:8000 or http://localhost:8000/v1.
        model: the name under which the server knows it.
        tokenizer: of that model: a folder or Hub id, or one that is loaded; by default `model`.
        context: tokens of prompt and answer together that the server takes.
        concurrency: requests at a time.
        timeout: seconds for one request.
        retries: further tries after a lost connection, a time-out or a busy server, with twice the
            wait before each. Answers that are there are kept meanwhile.
        wait: seconds before the first of them.
        top_logprobs: how many likeliest tokens are asked for; servers allow 5 to 20 by default.
        api_key: sent as a bearer token; by default $POLYRANK_API_KEY, else none.

    Raises:
        UsageError: a URL that is none.
    """

    log_probabilities = True
    encoder_decoder = False

    def __init__(
        self,
        url: str,
        model: str,
        tokenizer: Any = None,
        context: int = 8192,
        concurrency: int = 8,
        timeout: float = 120.0,
        retries: int = 5,
        wait: float = 0.5,
        top_logprobs: int = 20,
        api_key: str | None = None,
    ) -> None:
        parts = address(url)
        self.url, self.model = url.rstrip("/"), model
        self._host, self._port = parts.hostname or "", parts.port
        self._secure = parts.scheme == "https"
        self._path = parts.path.rstrip("/").removesuffix("/v1") + "/v1/completions"
        if tokenizer is None or isinstance(tokenizer, str | os.PathLike):
            from polyrank.rerankers.llm.engines.reading import read_tokenizer

            tokenizer = read_tokenizer(str(tokenizer or model))
        self.tokenizer, self.context, self.concurrency = tokenizer, context, concurrency
        self.timeout, self.retries, self.wait = timeout, retries, wait
        self.top_logprobs = top_logprobs
        self._key = api_key or os.environ.get("POLYRANK_API_KEY")
        self._lock = threading.Lock()
        self.usage, self.notebook = Usage(), Notebook()

    def size(self) -> None:
        """Unknown: the weights are elsewhere."""

    def identity(self) -> dict[str, str]:
        """The address and the model's name there; what lies behind it is not known here."""
        return {"engine": self.url, "model": self.model}

    def logits(self, prompts: Sequence[PromptIds], tokens: Sequence[Token]) -> list[list[float]]:
        """Log-probabilities of the tokens as the next one after each prompt.

        Raises:
            ServerError: a token whose log-probability the server does not tell.
        """
        return self._each(prompts, lambda prompt: self._label_logprobs(prompt, tokens))

    def generate(self, prompts: Sequence[PromptIds], sampling: Sampling) -> list[Generation]:
        """An answer to each prompt."""
        return self._each(prompts, lambda prompt: self._answer(prompt, sampling))

    def _each(self, prompts: Sequence[PromptIds], ask: Callable[[PromptIds], T]) -> list[T]:
        """Ask for every prompt, some at a time; the first failure ends it."""
        if not prompts:
            return []
        start = time.perf_counter()
        with ThreadPoolExecutor(min(self.concurrency, len(prompts))) as pool:
            futures = [pool.submit(ask, prompt) for prompt in prompts]
            try:
                found = [future.result() for future in futures]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        spent = time.perf_counter() - start
        self.usage += Usage(calls=len(prompts), prompt_tokens=sum(map(len, prompts)), seconds=spent)
        return found

    def _label_logprobs(self, prompt: PromptIds, tokens: Sequence[Token]) -> list[float]:
        choice = self._complete(prompt, max_tokens=1, logprobs=self.top_logprobs)
        listed = _likeliest(choice)
        return [
            listed[name]
            if (name := _name_in(listed, token)) is not None
            else self._echoed(prompt, token, listed)
            for token in tokens
        ]

    def _echoed(self, prompt: PromptIds, token: Token, listed: Mapping[str, float]) -> float:
        """The log-probability of prompt + token's last token."""
        try:
            choice = self._complete([*prompt, token.id], max_tokens=0, echo=True, logprobs=1)
            logprobs = choice.get("logprobs") or {}
            names, numbers = logprobs.get("tokens") or [], logprobs.get("token_logprobs") or []
        except Refused:
            names, numbers = [], []
        # One more token than asked for, or none of the prompt: then the server did not echo.
        if len(numbers) == len(prompt) + 1 and numbers[-1] is not None:
            if _name_in({names[-1]: 0.0}, token) is None:
                raise ServerError(self._other_tokenizer(token, names[-1]))
            return float(numbers[-1])
        shown = ", ".join(repr(name) for name in list(listed)[:5]) or "none"
        raise ServerError(
            f"the server {self.url} does not tell the log-probability of {token.text!r}: it is not "
            f"among the {len(listed)} likeliest tokens ({shown}, ...), and the server does not "
            "echo prompts with log-probabilities.\nLet it list more (vLLM: --max-logprobs, with "
            "top_logprobs to match), use a prompt that the model answers by its labels, or score "
            "by generating."
        )

    def _other_tokenizer(self, token: Token, name: str) -> str:
        return (
            f"the server {self.url} reads token {token.id} as {name!r}, but the tokenizer here as "
            f"{token.text!r}.\nGive the tokenizer of the model '{self.model}'."
        )

    def _answer(self, prompt: PromptIds, sampling: Sampling) -> Generation:
        options: dict[str, Any] = {"stop": list(sampling.stop)} if sampling.stop else {}
        if sampling.temperature:
            options["seed"] = sampling.seed
        choice = self._complete(
            prompt,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            logprobs=1,
            **options,
        )
        text = choice.get("text") or ""
        pieces, logprobs = _said(choice)
        with self._lock:
            said = len(pieces) or len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            self.usage = replace(self.usage, generated_tokens=self.usage.generated_tokens + said)
        cut = choice.get("finish_reason") == "length"
        if not "".join(pieces).startswith(text):  # bytes by their names, or no pieces at all
            pieces, logprobs = (text,), (0.0,)
            with self._lock:
                told = f"the server {self.url} tells no probabilities of answers"
                self.notebook.add("other", told)
        # Servers leave the stop and the end of the turn out of the text, but list their tokens.
        ends = list(accumulate(map(len, pieces)))
        kept = next((place + 1 for place, end in enumerate(ends) if end >= len(text)), 0)
        pieces, logprobs = pieces[:kept], logprobs[:kept]
        return Generation(text, tuple(pieces), tuple(logprobs), cut)

    def _complete(self, prompt: PromptIds, **options: Any) -> dict[str, Any]:
        """The only choice of a completion, after as many tries as are allowed."""
        body = {"model": self.model, "prompt": list(prompt), "temperature": 0, **options}
        payload = json.dumps(body).encode()
        try:
            return with_retries(
                lambda: _only_choice(self._post(payload), self.url), self.retries, self.wait
            )
        except Unanswered as error:
            raise ServerError(
                f"the server {self.url} did not answer in {error}\nLook whether it runs and serves "
                f"'{self.model}', then run the command again; --resume keeps what was scored."
            ) from error

    def _post(self, payload: bytes) -> Any:
        maker = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = maker(self._host, self._port, timeout=self.timeout)
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            connection.request("POST", self._path, payload, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status in TRANSIENT:
            raise Busy(response.status, response.getheader("Retry-After"))
        if response.status != 200:
            said = content[:300].decode("utf-8", "replace").strip()
            raise Refused(
                f"the server {self.url} refused the request with status {response.status}: {said}"
                f"\nLook whether it serves '{self.model}', and whether prompts of this length fit."
            )
        try:
            return json.loads(content)
        except ValueError as error:
            raise http.client.HTTPException("an answer that is not JSON") from error


def _only_choice(answer: Any, url: str) -> dict[str, Any]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise Refused(
            f"the server {url} gave no completion: {str(answer)[:200]}\n"
            "Give the address of an OpenAI-compatible server."
        )
    return dict(choices[0])


def _likeliest(choice: Mapping[str, Any]) -> dict[str, float]:
    """Name → log-probability of the likeliest first tokens, in either form that servers use."""
    logprobs = choice.get("logprobs") or {}
    if logprobs.get("top_logprobs"):
        first = logprobs["top_logprobs"][0]
        return {str(name): float(number) for name, number in first.items()}
    if logprobs.get("content"):
        first = logprobs["content"][0].get("top_logprobs") or [logprobs["content"][0]]
        return {str(entry["token"]): float(entry["logprob"]) for entry in first}
    return {}


def _said(choice: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The tokens of an answer and their log-probabilities, in either form."""
    logprobs = choice.get("logprobs") or {}
    if logprobs.get("tokens"):
        return tuple(logprobs["tokens"]), tuple(map(float, logprobs["token_logprobs"]))
    entries = logprobs.get("content") or []
    return tuple(e["token"] for e in entries), tuple(float(e["logprob"]) for e in entries)


def _name_in(listed: Mapping[str, float], token: Token) -> str | None:
    """Under which name a token is listed: its text, or its number."""
    for name in (token.text, f"token_id:{token.id}"):
        if name in listed:
            return name
    return None
