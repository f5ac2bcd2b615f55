"""The Hugging Face Hub's client, with its errors in our words.

`huggingface_hub` is imported inside functions: most commands never need it.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from polyrank.errors import HubError
from polyrank.network import failures
from polyrank.zoo.names import HubName

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FETCHING = ("pull", "fetch")  # what the cache could have spared
_LOGIN = "log in with 'hf auth login', or set HF_TOKEN"


def client() -> Any:
    """The Hub's API, at `$HF_ENDPOINT`, with the stored token or `$HF_TOKEN`."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils import disable_progress_bars

    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not sys.stderr.isatty():
        disable_progress_bars()  # those of uploads are on even where no terminal is
    return HfApi(library_name="polyrank")


def unreachable(error: Exception) -> bool:
    """Whether an error means that the Hub was not reached, or is down."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    absent = (OfflineModeIsEnabled, LocalEntryNotFoundError)
    if isinstance(error, (*absent, *failures().unreachable)):
        return True
    response = error.response if isinstance(error, HfHubHTTPError) else None
    return response is not None and response.status_code >= 500


def broken_off(error: Exception) -> bool:
    """Whether an error means that a download broke off in the middle."""
    return isinstance(error, failures().broken_off) or "Consistency check failed" in str(error)


@contextmanager
def said_plainly(name: HubName, doing: str) -> Iterator[None]:
    """Turn what the client raises into a HubError that says what to do.

    Args:
        name: what it is about.
        doing: such as `pull` or `push to`.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    kinds: tuple[type[Exception], ...] = (HfHubHTTPError, HFValidationError, *failures().any)
    try:
        yield
    except kinds as error:
        raise HubError(f"cannot {doing} '{name}': {_reason(name, error, doing)}") from error
    except (OSError, ValueError, RuntimeError) as error:  # also the client's own kinds of these
        if isinstance(error, OSError) and error.filename is not None:
            raise  # a file of this machine
        raise HubError(f"cannot {doing} '{name}': {_reason(name, error, doing)}") from error


def _reason(name: HubName, error: Exception, doing: str) -> str:
    from huggingface_hub import constants, errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OSError) and error.errno in _FULL:
        return (
            f"{error.strerror}.\nMake room, or keep downloads and modules elsewhere with HF_HOME "
            "and POLYRANK_CACHE, then run the same command again."
        )
    if unreachable(error) and doing not in _FETCHING:
        if constants.HF_HUB_OFFLINE:
            return "HF_HUB_OFFLINE=1 forbids it.\nUnset HF_HUB_OFFLINE."
        return (
            f"the Hub at {constants.ENDPOINT} was not reached ({_cause(error)}).\n"
            "Check the network, a proxy and HF_ENDPOINT, then run the same command again."
        )
    if constants.HF_HUB_OFFLINE and unreachable(error):
        return (
            "it is not in the cache, and HF_HUB_OFFLINE=1 forbids to fetch it.\nUnset "
            "HF_HUB_OFFLINE, or fetch it on another machine and give the folder."
        )
    if unreachable(error):
        return (
            f"the Hub at {constants.ENDPOINT} was not reached ({_cause(error)}), and it is "
            "not in the cache.\nCheck the network, a proxy and HF_ENDPOINT, then run the same "
            "command again; it goes on where it stopped. Without network: fetch it on another "
            f"machine ('hf download {name.repository} --local-dir DIR') and give the folder."
        )
    if isinstance(error, errors.GatedRepoError):
        return (
            "the repository is gated.\nAsk for access at "
            f"{constants.ENDPOINT}/{name.repository}, then {_LOGIN}."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"the repository has no revision '{name.revision}'.\nCheck the branch, tag or commit "
            f"at {constants.ENDPOINT}/{name.repository}/commits/main, or leave out '@'."
        )
    if isinstance(error, errors.EntryNotFoundError):
        return f"the repository has no such file.\n{_first_line(error)}"
    if status == 401 and doing not in _FETCHING:
        return (
            f"{constants.ENDPOINT} does not know you: no token was sent, or not a valid one.\n"
            f"Take a token with write access: {_LOGIN}."
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        return (
            f"it is no folder here, and there is no repository '{name.repository}' at "
            f"{constants.ENDPOINT}, or it is private and you are not allowed in.\n"
            f"Check the spelling; if it is private, {_LOGIN}."
        )
    if status == 403:
        return f"your token does not allow it.\nTake a token with write access: {_LOGIN}."
    if status == 429:
        return "the Hub has had too many requests from here.\nWait some minutes and try again."
    return f"{_first_line(error)}\nRun the same command again; what came is kept."


def _cause(error: Exception) -> str:
    """Why there is no connection, out of the long text of the layers below."""
    found = re.search(r"\[Errno -?\d+\] [\w ,]+|timed out|SSL[\w ]+", str(error))
    return found[0] if found else _first_line(error)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
