"""The routes: one handler for every client that reranks, and the small ones beside it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from polyrank.errors import CompositionError, LanguageError, PolyrankError, UsageError, first_line
from polyrank.server.contracts import (
    SCHEMAS,
    DetectBody,
    ExplainBody,
    RerankBody,
    ScoreBody,
    SearchBody,
)
from polyrank.server.dispatcher import Caller
from polyrank.server.guard import Guard
from polyrank.server.problems import Problem, without_paths
from polyrank.server.service import Service

log = logging.getLogger("polyrank.server")

B = TypeVar("B", bound=BaseModel)
Answer = Callable[[Any, Caller], Awaitable[Any]]

RERANK = ("/rerank", "/v1/rerank", "/v2/rerank", "/")  # TEI answers at its root, too
SCORE = ("/score", "/v1/score")
MODELS = ("/v1/models", "/models")


def create_app(service: Service, shown: Mapping[str, Any] | None = None) -> Guard:
    """The ASGI application of a service; it starts and closes the service's queue.

    Args:
        service: what answers.
        shown: what the page at / begins with, as `polyrank.server.page.html` takes it; None for no
            page.

    Example:
        app = create_app(Service({"e5-small": Served("e5-small", load_reranker("e5-small"))}))
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.close)

    import polyrank

    app = FastAPI(
        title="polyrank",
        version=polyrank.__version__,
        lifespan=lifespan,
        docs_url=None,  # the pages of both take their scripts from a CDN
        redoc_url=None,
    )
    _add_posts(app, service)
    _add_gets(app, service)
    if shown is not None:
        _add_page(app, shown)

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> Response:
        return _problem(Problem(error.status_code, str(error.detail), headers=error.headers))

    _describe(app)
    routes = {getattr(route, "path", "") for route in app.routes}
    return Guard(app, service.settings, service.metrics, routes)  # type: ignore[arg-type]


def _add_posts(app: FastAPI, service: Service) -> None:
    async def detect(body: DetectBody, _: Caller) -> Any:
        return await service.detect(body)

    table: list[tuple[tuple[str, ...], type[BaseModel], Answer, dict[str, Any]]] = [
        (RERANK, RerankBody, service.rerank, _gives()),
        (SCORE, ScoreBody, service.score, {}),
        (("/search",), SearchBody, service.search, {}),
        (("/explain",), ExplainBody, service.explain, {}),
        (("/detect",), DetectBody, detect, {}),
    ]
    for paths, body, answer, gives in table:
        for path in paths:
            app.post(path, openapi_extra={**_takes(body), **gives}, summary=_summary(body))(
                _handler(body, answer, service)
            )


def _add_gets(app: FastAPI, service: Service) -> None:
    @app.get("/health")
    @app.get("/ping")
    async def health() -> Response:
        """Whether requests are taken and worked on."""
        well = service.healthy
        return _json({"status": "ok" if well else "unavailable"}, 200 if well else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters for Prometheus."""
        numbers = service.metrics
        numbers.waiting.set(service.queue.waiting)
        numbers.queued.set(service.queue.tokens)
        numbers.dropped.set(service.queue.dropped)
        return Response(numbers.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/info")
    async def info() -> Response:
        """Models, indexes and limits."""
        return _json(service.info())

    async def models() -> Response:
        """The names that `model` may have."""
        return _json(service.about_models())

    for path in MODELS:
        app.get(path)(models)


def _add_page(app: FastAPI, shown: Mapping[str, Any]) -> None:
    from polyrank.server.page import html, policy

    content = html(shown).encode()
    headers = {"content-security-policy": policy(), "referrer-policy": "no-referrer"}

    @app.get("/")
    async def page() -> Response:
        """A page to ask questions and to look at rankings."""
        return Response(content, 200, headers, "text/html; charset=utf-8")


def _handler(
    kind: type[B], answer: Answer, service: Service
) -> Callable[[Request], Awaitable[Response]]:
    """A route: JSON in, JSON out, and every error in a client's shape."""

    async def handle(request: Request) -> Response:
        raw: bytes = request.scope["polyrank.body"]
        watch = asyncio.ensure_future(_left(request))
        caller = Caller(request.scope["polyrank.owner"], lambda: asyncio.shield(watch))
        try:
            found = await answer(_read(kind, raw), caller)
        except Exception as error:
            return _problem(_problem_of(error, service.settings.debug), _is_tei(raw))
        finally:
            watch.cancel()
        return _json(found)

    handle.__doc__ = kind.__doc__
    return handle


async def _left(request: Request) -> None:
    """Ends when the client has closed its connection; its body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _read(kind: type[B], raw: bytes) -> B:
    """A request's body.

    Raises:
        Problem: 400 for what is no JSON, 422 for JSON of another form; texts are not repeated.
    """
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
    first = faults[0]
    if first["type"] == "json_invalid":
        raise Problem(400, "the body is not JSON in UTF-8", code="invalid_json")
    field = ".".join(map(str, first["loc"])) or "the body"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    raise Problem(
        422, f"{field}: {first['msg']}{more}", str(first["loc"][0]) if first["loc"] else None
    )


def _is_tei(raw: bytes) -> bool:
    """Whether a body, perhaps a broken one, is one for text-embeddings-inference."""
    return b'"texts"' in raw and b'"documents"' not in raw


def _problem_of(error: Exception, debug: bool) -> Problem:
    """What a client is told of an error; only with `debug` more than it may know."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, LanguageError | CompositionError | UsageError):
        message = str(error) if debug else without_paths(first_line(error))
        return Problem(422, message[:1000])
    known = isinstance(error, PolyrankError)
    log.error("a request failed: %s", type(error).__name__, exc_info=error if debug else None)
    if debug:
        return Problem(500, f"{type(error).__name__}: {error}")
    return Problem(500, "the model could not score this" if known else "an error in the server")


def _problem(problem: Problem, tei: bool = False) -> Response:
    return _json(problem.body(tei), problem.status, problem.headers)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), status, headers, "application/json")


# --- OpenAPI --------------------------------------------------------------------------------------


def _takes(kind: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _gives() -> dict[str, Any]:
    """The two forms of a reranking."""
    forms = [
        {"$ref": "#/components/schemas/RerankAnswer"},
        {"type": "array", "items": {"$ref": "#/components/schemas/TeiRow"}},
    ]
    content = {"application/json": {"schema": {"oneOf": forms}}}
    return {"responses": {"200": {"description": "The order.", "content": content}}}


def _summary(kind: type[BaseModel]) -> str:
    return kind.__name__.removesuffix("Body")


def _describe(app: FastAPI) -> None:
    """Put the schemas of requests and answers into /openapi.json."""
    described = app.openapi

    def whole() -> dict[str, Any]:
        found = described()
        _, definitions = models_json_schema(
            [(kind, "validation") for kind in SCHEMAS],
            ref_template="#/components/schemas/{model}",
        )
        schemas = found.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(definitions["$defs"])
        return found

    app.openapi = whole  # type: ignore[method-assign]
