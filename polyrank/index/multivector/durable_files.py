"""Files that are whole or not there: hashed as written, forced to the disk, renamed into place.

Nothing in an index is ever changed in place. What no manifest names is a leftover of a crash.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyrank.errors import DataError
from polyrank.modules.card import sha256

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what room on the disk mends


@dataclass(frozen=True)
class File:
    """What a file must be."""

    sha256: str
    bytes: int


def write(path: Path, data: bytes | memoryview, header: bytes = b"") -> File:
    """Write a new file and force it to the disk.

    Raises:
        DataError: no space, or fewer bytes written than given; the partial file is a leftover.
    """
    digest = hashlib.sha256(header)
    digest.update(data)
    wanted = len(header) + memoryview(data).nbytes
    try:
        with open(path, "wb") as stream:
            stream.write(header)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        written = path.stat().st_size
    except OSError as error:
        raise _unwritten(path, error) from error
    if written != wanted:
        raise DataError(
            path, None, f"{written} of {wanted} bytes were written; make room and run it again"
        )
    return File(digest.hexdigest(), wanted)


def _unwritten(path: Path, error: OSError) -> DataError:
    advice = "make room and run it again" if error.errno in FULL else "fix that and run it again"
    return DataError(path, None, f"cannot be written ({error.strerror}); {advice}")


def write_array(path: Path, array: NDArray[Any]) -> File:
    """Write an array in NumPy's .npy format."""
    from io import BytesIO

    array = np.ascontiguousarray(array)
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    data = array.reshape(-1).view(np.uint8).data if array.size else b""
    return write(path, data, header.getvalue())


def write_json(path: Path, record: Any) -> File:
    """Write JSON: the same record gives the same bytes."""
    text = json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    return write(path, text.encode())


def read_array(path: Path) -> NDArray[Any]:
    """Map an array into memory; what is not read is not loaded.

    No file stays open, so an index may have any number of segments. (NumPy's maps keep theirs.)

    Raises:
        DataError: cut short, no array, or one in the order of bytes of another machine.
    """
    with open(path, "rb") as stream:
        try:
            np.lib.format.read_magic(stream)
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            if not dtype.isnative:
                raise ValueError(f"its numbers are {dtype}")
            return read_bytes(path)[stream.tell() :].view(dtype).reshape(shape)
        except Exception as error:  # NumPy parses the header as Python, which fails in any way
            raise DataError(path, None, f"cannot be read ({error}); {RESTORE}") from error


def read_bytes(path: Path) -> NDArray[np.uint8]:
    """Map a file into memory; it may be removed meanwhile."""
    import torch

    size = path.stat().st_size
    if not size:
        return np.empty(0, np.uint8)
    # Private: what is written to the array, which nobody does, would never reach the file.
    found: NDArray[np.uint8] = torch.from_file(
        str(path), shared=False, size=size, dtype=torch.uint8
    ).numpy()
    return found


RESTORE = "the index is damaged: restore it from a copy, or rebuild it"


def replace(path: Path, record: Any) -> None:
    """Write JSON beside a file and rename it over it: readers see the old one or the new one."""
    aside = path.with_name(path.name + ".new")
    try:
        write_json(aside, record)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def finished(folder: Path) -> Iterator[Path]:
    """A folder to write into; it gets its name when it is whole."""
    aside = folder.with_name(f".{folder.name}")
    remove(aside)
    aside.mkdir(parents=True)
    yield aside
    sync(aside)
    os.rename(aside, folder)
    sync(folder.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check(path: Path, expected: File) -> str | None:
    """What is wrong with a file, in words; None when nothing is."""
    if not path.is_file():
        return f"{path} is missing"
    size = path.stat().st_size
    if size != expected.bytes:
        return f"{path} has {size} bytes, the manifest says {expected.bytes}"
    found = sha256(path)
    if found != expected.sha256:
        return f"{path}: its sha256 is {found[:12]}…, the manifest says {expected.sha256[:12]}…"
    return None
