"""One writer for one output: the lock that everything takes that writes over time.

The lock is the system's own (`flock`), so it ends with its process, however that ends: a file that
a killed process left locks nobody out. What the file says of its holder is for the message alone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from polyrank.errors import UsageError
from polyrank.progress import note

INSIDE = "lock"  # its name in a folder that holds its own
TRIES = 100  # to make a folder that others remove
PAUSE = 0.2  # seconds between two tries of one that waits
_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNKNOWN = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # a file system without locks

_held: set[tuple[str, int, int]] = set()  # lock file, process, thread


def lock_file(target: str | Path, inside: bool = False) -> Path:
    """Where the lock of a target lies: beside it, or in it; of a link, of what it leads to."""
    target = Path(target).resolve()
    return target / INSIDE if inside else target.with_name(f".{target.name}.lock")


@contextmanager
def locked(target: str | Path, inside: bool = False, wait: bool = False) -> Iterator[None]:
    """Be the only writer of a file or a folder.

    A thread that holds a lock may ask for it again: a verb locks its output before it loads
    anything, and the function that writes there does so for those who call it from Python.

    Args:
        target: what is written; it need not exist.
        inside: keep the lock in the folder, for a target that is there and stays in its place.
        wait: until the holder is done, and say so; else refuse.

    Raises:
        UsageError: another process writes there (who it is, and since when), or nobody can.
    """
    path = lock_file(target, inside)
    mine = str(path), os.getpid(), threading.get_ident()
    if mine in _held:
        yield
        return
    made = _missing(path.parent)
    try:
        lock = _acquired(Path(target), path, wait)
        _held.add(mine)
        try:
            yield
        finally:
            _held.discard(mine)
            path.unlink(missing_ok=True)  # before it is freed: nobody else's is removed
            os.close(lock)
    finally:
        with suppress(OSError):  # the first that holds something ends it
            for folder in made:
                folder.rmdir()


def _missing(folder: Path) -> list[Path]:
    """The folders that are made for a lock, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


def _acquired(target: Path, path: Path, wait: bool) -> int:
    """The locked file, with its holder written into it."""
    told = False
    while True:
        lock = _opened(target, path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            if not wait:
                raise UsageError(
                    f"'{target}' is being written by another process{holder(path)}.\n"
                    "Wait until it is done, or choose another output."
                ) from None
            if not told:
                note(f"waiting for '{target}', which another process writes{holder(path)}")
            told = True
            time.sleep(PAUSE)
            continue
        except OSError as error:
            if error.errno not in _UNKNOWN:
                os.close(lock)
                raise
            note(f"'{target}' is on a file system without locks; let only one process write there")
        if _is_still(path, lock):
            with suppress(OSError):  # a full disk may have no room for it
                os.ftruncate(lock, 0)
                os.write(lock, _record())
            return lock
        os.close(lock)  # its holder removed it between opening and locking


def _opened(target: Path, path: Path) -> int:
    try:
        for _ in range(TRIES):
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # whoever had made the folder has just removed it
                return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        advice = "; make room and run it again" if error.errno in _FULL else ""
        reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror
        raise UsageError(f"{target} cannot be written: {reason}{advice}") from error
    raise UsageError(f"{target} cannot be written: its folder is removed again and again")


def _is_still(path: Path, lock: int) -> bool:
    """Whether the path leads to the file that is locked."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(lock))
    except FileNotFoundError:
        return False


def _record() -> bytes:
    """Who this process is, on one line of JSON."""
    name = Path(sys.argv[0]).name if sys.argv else ""
    return json.dumps(
        {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(" ", "seconds"),
            "command": shlex.join([name, *sys.argv[1:]]),
        }
    ).encode()


def holder(path: Path) -> str:
    """Who holds a lock, in words that follow 'process'; '' where the file does not say."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        who = f" (id {int(record['process'])} on {record['host']}, since {record['since']})"
        return f"{who}:\n  {record['command']}\n" if record["command"] else who
    except (OSError, ValueError, KeyError, TypeError):
        return ""
