"""A translator behind HTTP, by the protocol of LibreTranslate: POST /translate."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence

from polyrank.errors import PolyrankError
from polyrank.http_client import TRANSIENT, Busy, Unanswered, address, with_retries

BATCH, TIMEOUT = 32, 120.0  # texts, seconds
KEY = "POLYRANK_TRANSLATE_KEY"  # in the environment: a server's key, never written anywhere


def by_plain_http(address: str) -> Endpoint:
    """The endpoint at http:ADDRESS."""
    return Endpoint(f"http:{address}")


def by_https(address: str) -> Endpoint:
    """The endpoint at https:ADDRESS."""
    return Endpoint(f"https:{address}")


class Endpoint:
    """Sends `{"q": texts, "source": …, "target": …, "format": "text"}` and reads
    `{"translatedText": texts}`.

    Args:
        url: of the server; `/translate` is added where it has no path.
        batch: texts in one request.
        retries, wait: see `polyrank.http_client.with_retries`.

    Raises:
        UsageError: a URL that is none.
    """

    def __init__(self, url: str, batch: int = BATCH, retries: int = 3, wait: float = 2.0) -> None:
        address(url)
        bare = url.rstrip("/")
        self.url = bare if bare.count("/") > 2 else f"{bare}/translate"
        self.batch, self.retries, self.wait = batch, retries, wait

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations.

        Raises:
            PolyrankError: a server that is absent, refuses, or answers something else.
        """
        answers: list[str] = []
        for start in range(0, len(texts), self.batch):
            answers += self._ask(list(texts[start : start + self.batch]), source, target)
        return answers

    def _ask(self, texts: list[str], source: str, target: str) -> list[str]:
        body = {"q": texts, "source": source, "target": target, "format": "text"}
        if key := os.environ.get(KEY):
            body["api_key"] = key
        answer = self._answer(json.dumps(body).encode())
        found = answer.get("translatedText") if isinstance(answer, dict) else None
        if not isinstance(found, list) or len(found) != len(texts):
            raise PolyrankError(
                f"the translator at {self.url} answered without one 'translatedText' for each of "
                f"{len(texts)} texts: {str(answer)[:200]}"
            )
        return [str(text) for text in found]

    def _answer(self, body: bytes) -> object:
        """The answer; a server that is busy or lost is asked again.

        Raises:
            PolyrankError: there is none.
        """
        try:
            return json.loads(with_retries(lambda: self._post(body), self.retries, self.wait))
        except Unanswered as error:
            reason = f"cannot be reached in {error}"
        except ValueError as error:
            reason = f"answered with something other than JSON: {error}"
        raise PolyrankError(
            f"the translator at {self.url} {reason}\nStart it, or give another --translator."
        )

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(
            self.url, body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError as error:
            if error.code in TRANSIENT:
                raise Busy(error.code, error.headers.get("Retry-After")) from error
            said = error.read(200).decode(errors="replace")
            raise PolyrankError(
                f"the translator at {self.url} refused with {error.code}: {said}\n"
                "Look whether it knows these languages, and is the right address."
            ) from error
