"""A translator behind HTTP, by the protocol of LibreTranslate: POST /translate."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from polyrank.errors import PolyrankError

BATCH, TIMEOUT, TRIES, WAIT = 32, 120.0, 3, 2.0  # texts, seconds, and seconds before a try again
KEY = "POLYRANK_TRANSLATE_KEY"  # in the environment: a server's key, never written anywhere
BUSY = (429, 502, 503, 504)


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
    """

    def __init__(self, url: str, batch: int = BATCH) -> None:
        bare = url.rstrip("/")
        self.url = bare if bare.count("/") > 2 else f"{bare}/translate"
        self.batch = batch

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
        answer = self._post(json.dumps(body).encode())
        found = answer.get("translatedText") if isinstance(answer, dict) else None
        if not isinstance(found, list) or len(found) != len(texts):
            raise PolyrankError(
                f"the translator at {self.url} answered without one 'translatedText' for each of "
                f"{len(texts)} texts: {str(answer)[:200]}"
            )
        return [str(text) for text in found]

    def _post(self, body: bytes) -> object:
        """The answer; a busy server is asked again.

        Raises:
            PolyrankError: it does not answer.
        """
        request = urllib.request.Request(
            self.url, body, {"Content-Type": "application/json"}, method="POST"
        )
        for attempt in range(1, TRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                said = error.read(200).decode(errors="replace")
                if error.code not in BUSY or attempt == TRIES:
                    raise PolyrankError(
                        f"the translator at {self.url} refused with {error.code}: {said}\n"
                        "Look whether it knows these languages, and is the right address."
                    ) from error
            except (OSError, ValueError) as error:
                if attempt == TRIES or isinstance(error, ValueError):
                    raise PolyrankError(
                        f"the translator at {self.url} cannot be reached or understood: {error}\n"
                        "Start it, or give another --translator."
                    ) from error
            time.sleep(WAIT * attempt)
        raise AssertionError("unreachable")
