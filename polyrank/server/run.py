"""The process: a socket that is taken before the models are loaded, signals, and the end."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyrank.errors import PolyrankError, UsageError
from polyrank.progress import note
from polyrank.server.settings import Settings

KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than clients keep theirs


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket at an address, taken before anything is loaded.

    Raises:
        UsageError: the address is in use, not this machine's, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot listen at {host} port {port}: {reason}.\nGive another --host or --port; "
            "--port 0 takes any that is free."
        ) from error
    return opened


def read_keys(path: Path | None, environment: str | None) -> tuple[str, ...]:
    """The keys in a file, one a line, or in an environment variable, between commas.

    Raises:
        UsageError: a file without any.
    """
    if path is None:
        return tuple(key.strip() for key in (environment or "").split(",") if key.strip())
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise UsageError(f"--keys: the file '{path}' has no key; write one on each line")
    return keys


def serve(
    models: Mapping[str, Any],
    indexes: Mapping[str, Path],
    options: Mapping[str, Any],
    settings: Settings,
    address: tuple[str, int],
    shutdown_seconds: int | None = None,
    log_requests: bool = False,
    shown: Mapping[str, Any] | None = None,
    calibrations: Mapping[str, Path] | None = None,
) -> None:
    """Load models and indexes and answer requests until SIGINT or SIGTERM.

    Args:
        models: name → what `load_reranker` takes; the first is the default.
        indexes: name → folder.
        options: fields of `RerankerSpec` for all models.
        settings: limits.
        address: host and port.
        shutdown_seconds: after which requests that are still worked on are given up.
        log_requests: a line for each on stderr: method, route, status, milliseconds.
        shown: what the page begins with; None for no page.
        calibrations: model → its file, as `polyrank calibrate` wrote it.

    Raises:
        UsageError: the address is taken, or there is nothing to serve.
        PolyrankError: a model or an index that cannot be loaded.
    """
    begun = time.monotonic()
    with bound_socket(*address) as listening:
        import uvicorn

        from polyrank.server.app import create_app
        from polyrank.server.connections import punctual
        from polyrank.server.models import Shelf
        from polyrank.server.service import Service

        _log(log_requests)
        shelf = Shelf()
        served = loaded(shelf, models, options, calibrations or {})
        opened = {
            name: shelf.index(folder, options.get("device")) for name, folder in indexes.items()
        }
        service = Service(served, opened, settings)
        config = uvicorn.Config(
            create_app(service, shown),  # type: ignore[arg-type]
            http=punctual(settings.body_seconds),  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=shutdown_seconds,
        )
        host, port = listening.getsockname()[:2]
        place = f"[{host}]" if ":" in host else host
        names = ", ".join([*served, *(f"index {name}" for name in opened)])
        listening.listen(2048)  # from here on requests are taken, and answered when all is up
        seconds = time.monotonic() - begun
        note(f"serving {names} at http://{place}:{port} (loaded in {seconds:.1f} s)")
        sys.stderr.flush()
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn ends in good order at either, and then sends it again to whoever was before
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listening])


def loaded(
    shelf: Any,
    models: Mapping[str, Any],
    options: Mapping[str, Any],
    calibrations: Mapping[str, Path],
) -> dict[str, Any]:
    """Rerankers by name, with the calibrations that are given or lie beside them."""
    from polyrank.evaluation.calibration import Calibration
    from polyrank.server.models import Served, calibration_beside

    if unknown := calibrations.keys() - models.keys():
        raise UsageError(f"--calibration: no model is called '{min(unknown)}'")
    found: dict[str, Served] = {}
    for name, spec in models.items():
        try:
            path = calibrations.get(name) or calibration_beside(spec)
            calibration = Calibration.read(path) if path else None
            found[name] = Served(name, shelf.reranker(spec, **options), calibration)
        except PolyrankError as error:
            raise UsageError(f"--model {name}: {error}") from error
    return found


def _log(requests: bool) -> None:
    """Own lines on stderr; of uvicorn only what is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    for name, level in (
        ("polyrank.server", logging.INFO if requests else logging.WARNING),
        ("uvicorn.error", logging.ERROR),
    ):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
