"""polyrank serve: rerankers and indexes over HTTP."""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.installed import require

from . import options
from .options import Fallback

KEYS = "POLYRANK_SERVE_KEYS"


class Long(Enum):
    cut = "cut"
    split = "split"


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="[NAME=]SPEC",
            help="What is served, under which name; several times for several models, the first "
            "being the default. SPEC is a base, a ranking module, a file of 'polyrank compose', a "
            "model's folder or Hub id, or JSON with the fields of a reranker's specification.",
        ),
    ] = None,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE",
            help="What a model's scores mean, as 'polyrank calibrate' wrote it; else the file "
            "beside the model, if any. Without a name it is the first model's.",
        ),
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option(
            "--index",
            metavar="[NAME=]FOLDER",
            help="An index that /search looks in; several times.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    fallback: Annotated[
        Fallback,
        typer.Option(help="For a language without a module: an error, its nearest relative, none."),
    ] = Fallback.none,
    max_length: Annotated[
        int, typer.Option(min=16, help="Tokens of a pair, or of a document in late interaction.")
    ] = 256,
    long_documents: Annotated[
        Long,
        typer.Option(
            help="What is too long: read as far as it goes, or in passages; the best one counts."
        ),
    ] = Long.cut,
    step_tokens: Annotated[
        int | None,
        typer.Option(min=64, help="Tokens of a batch; else 4096, and 16384 on a GPU."),
    ] = None,
    max_queued_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens that may wait; beyond, requests get 429.")
    ] = 500_000,
    max_queued_tokens_per_key: Annotated[
        int | None, typer.Option(min=1, help="Likewise for each key.")
    ] = None,
    max_documents: Annotated[int, typer.Option(min=1, help="In one request.")] = 1000,
    max_characters: Annotated[int, typer.Option(min=1, help="Of one text.")] = 1_000_000,
    max_body: Annotated[int, typer.Option(min=1, help="MiB of one request.")] = 16,
    body_seconds: Annotated[
        float, typer.Option(min=0.1, help="In which a request must have arrived.")
    ] = 30.0,
    keys: Annotated[
        Path | None,
        typer.Option(
            help=f"A file with the keys that requests must show, one a line; else those in ${KEYS} "
            "between commas."
        ),
    ] = None,
    shutdown_seconds: Annotated[
        int | None, typer.Option(min=1, help="After which unfinished requests are given up.")
    ] = None,
    device: options.Device = None,
    precision: options.Precision = None,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="A line for each request, without its texts.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Show a page at / to ask in and to look at rankings.")
    ] = False,
    comparison: Annotated[
        Path | None,
        typer.Option(
            help="With --page: runs to compare there, as 'polyrank view --output FILE.json' wrote "
            "them. Like the page itself they are shown without a key."
        ),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Errors in full, with paths and texts, in logs and answers."),
    ] = False,
) -> None:
    """Serve rerankers over HTTP, for clients of Cohere, Jina, Voyage, TEI, Infinity and vLLM.

    /rerank, /v1/rerank and /v2/rerank take the bodies of all of these; /score, /search, /detect,
    /info, /v1/models, /health, /metrics and /openapi.json are beside them. The languages of texts
    are identified unless query_language and document_language say them.

    \b
    Examples:
      polyrank serve --port 8000
      curl -s http://127.0.0.1:8000/rerank -H 'Content-Type: application/json' \\
          -d '{"query": "Su kaç derecede kaynar?", "documents": ["Water boils at 100 degrees.",
               "The river is long."], "query_language": "tr", "document_language": "en"}'
      polyrank serve --model default=e5-small --model own=models/en-sw --index articles
      polyrank serve --page --index articles     # a page at http://127.0.0.1:8000/
    """
    require("serve", "polyrank serve")
    from polyrank.base import device_of
    from polyrank.server.models import named_folders, named_specs
    from polyrank.server.run import read_keys
    from polyrank.server.run import serve as run
    from polyrank.server.settings import Settings

    models = named_specs(model or [DEFAULT_BASE])
    on_gpu = device_of(device).type == "cuda"
    settings = Settings(
        long_documents=long_documents.value,
        step_tokens=step_tokens or (16384 if on_gpu else 4096),
        max_queued_tokens=max_queued_tokens,
        max_queued_tokens_per_key=max_queued_tokens_per_key,
        max_body=max_body << 20,
        max_bodies=max(256, 4 * max_body) << 20,
        max_documents=max_documents,
        max_characters=max_characters,
        body_seconds=body_seconds,
        keys=read_keys(keys, os.environ.get(KEYS)),
        debug=debug,
    )
    given = {
        "fallback": fallback.value,
        "max_length": max_length,
        "device": device,
        "precision": precision,
    }
    run(
        models,
        named_folders(index or []),
        given,
        settings,
        (host, port),
        shutdown_seconds,
        log_requests,
        shown=_shown(page, comparison),
        calibrations=_named_files(calibration or [], next(iter(models))),
    )


def _named_files(given: list[str], first: str) -> dict[str, Path]:
    """What `--calibration NAME=FILE` options say; without a name it is the first model's."""
    named = [text.rpartition("=") for text in given]
    return {name or first: Path(path).expanduser() for name, _, path in named}


def _shown(page: bool, comparison: Path | None) -> dict[str, Any] | None:
    """What the page begins with; None for no page.

    Raises:
        UsageError: a comparison without the page, or a file that is none.
    """
    if comparison is None:
        return {"live": True} if page else None
    if not page:
        raise UsageError("--comparison goes with --page, which shows it")
    from polyrank.evaluation.looking import FORMAT_VERSION

    try:
        found = json.loads(comparison.read_text(encoding="utf-8"))
        version = found["format_version"]
    except (ValueError, TypeError, KeyError):
        version = None
    if version != FORMAT_VERSION:
        raise UsageError(
            f"--comparison: '{comparison}' is not a comparison of this version of polyrank.\n"
            f"Write one with:  polyrank view RUN RUN --collection NAME --output {comparison}"
        )
    return {"live": True, "comparison": found}
