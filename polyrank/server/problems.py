"""What goes wrong with a request, in the shapes that clients look for.

    Cohere    message          Jina    detail          OpenAI, vLLM, Infinity   error{message, …}
    TEI       error, error_type: a body of its own, since its `error` is a text

LangChain's and LlamaIndex's clients read `detail` of any answer that is no success.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

CLOSED = 499  # nginx' status for a client that left; nobody sees it
PHRASES = {status.value: status.phrase for status in HTTPStatus} | {CLOSED: "Client Closed Request"}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
TEI_TYPES = {400: "empty", 429: "overloaded", 503: "unhealthy", 500: "backend"}
_PATH = re.compile(r"(?<![\w:/])(?:~|[A-Za-z]:)?[/\\][^\s'\",;:]+")


class Problem(Exception):
    """An answer that is no success.

    Args:
        status: of HTTP.
        message: what is wrong and what to do; for the client.
        param: the field at fault.
        code: a word for programs.
        headers: beside the usual ones.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    def body(self, tei: bool = False) -> dict[str, Any]:
        """The answer's body.

        Args:
            tei: the request was one of text-embeddings-inference.
        """
        if tei:
            return {"error": self.message, "error_type": TEI_TYPES.get(self.status, "validation")}
        phrase = PHRASES.get(self.status, "error")
        code = self.code or phrase.lower().replace(" ", "_")
        kind = TYPES.get(self.status, "api_error")
        error = {"message": self.message, "type": kind, "param": self.param, "code": code}
        return {"message": self.message, "detail": self.message, "error": error}


def without_paths(message: str) -> str:
    """A message without the places of files on this machine."""
    return _PATH.sub("[path]", message)
