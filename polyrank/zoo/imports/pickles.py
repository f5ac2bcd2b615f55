"""Read tensors and numbers from a torch pickle without running what is in it.

A pickle names functions and has them called. Here each name that a file of tensors needs stands for
a harmless method of the reader; any other name stops it before anything is called.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.errors import ModuleError

_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_INTEGER = re.compile(r"[iu][1248]")


def read_pickle(path: str | Path) -> Any:
    """What `torch.save` wrote: dicts, lists, numbers, strings and tensors, on the CPU.

    Raises:
        ModuleError: a file that names anything else (nothing of it is run), that is cut or broken,
            or that was written by torch before 1.6.
    """
    path = Path(path)
    if not path.is_file():
        raise ModuleError(f"{path} is missing.\nFetch it again.")
    if not zipfile.is_zipfile(path):
        raise ModuleError(
            f"{path} is not a file of torch 1.6 or later: it is cut, or older.\n"
            "Fetch it again; if it "
            "is old and you trust it, load it with torch and write it anew with torch.save."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return _Reader(archive, path).load()
    except ModuleError:
        raise
    except Exception as error:  # a broken pickle fails in any way; all mean: not such a file
        raise ModuleError(f"{path} cannot be read: {error!r}\nFetch it again.") from error


def write_pickle(content: Any, path: Path) -> None:
    """`torch.save`, by way of memory: on a full disk torch itself raises what does not say so."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getbuffer())


class _Reader(pickle.Unpickler):
    """Methods stand for the functions that are named: a bound method cannot be tampered with."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        (name,) = [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]
        self._archive, self._path, self._folder = archive, path, name.removesuffix("data.pkl")
        self._storages: dict[str, Tensor] = {}
        order = f"{self._folder}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ModuleError(f"{path} was written on a big-endian machine.\nWrite it anew there.")
        self._allowed = {
            "collections.OrderedDict": OrderedDict,
            "torch.Size": tuple,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": self._parameter,
            "numpy.dtype": self._dtype,
            "numpy.core.multiarray.scalar": self._scalar,  # NumPy 1
            "numpy._core.multiarray.scalar": self._scalar,
            "_codecs.encode": self._bytes,
            **{f"torch.{storage}": dtype for storage, dtype in _STORAGES.items()},
        }
        super().__init__(io.BytesIO(archive.read(name)))

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[f"{module}.{name}"]
        except KeyError:
            raise ModuleError(
                f"{self._path} is a pickle that asks for '{module}.{name}', which no file of "
                "tensors needs; nothing of it was run.\nDo not use this file."
            ) from None

    def persistent_load(self, pid: Any) -> Tensor:
        """The flat tensor that holds a storage's bytes."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not str(key).isdigit():
            raise ValueError(f"no storage: {pid!r}")
        if key not in self._storages:
            content = self._archive.read(f"{self._folder}data/{key}")
            if len(content) != count * dtype.itemsize:
                raise ValueError(f"storage {key} holds {len(content)} bytes for {count} numbers")
            flat = torch.frombuffer(bytearray(content), dtype=dtype) if content else None
            self._storages[key] = torch.empty(0, dtype=dtype) if flat is None else flat
        return self._storages[key]

    def _tensor(
        self, storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any
    ) -> Tensor:
        return torch.as_strided(storage, size, stride, offset).clone()  # checks the bounds

    def _parameter(self, data: Tensor, *_: Any) -> Tensor:
        return data

    def _dtype(self, code: str, *_: Any) -> _Dtype:
        return _Dtype(code)

    def _scalar(self, dtype: _Dtype, content: bytes) -> int:
        return int(np.frombuffer(content, dtype.order + dtype.code, count=1)[0])

    def _bytes(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ValueError(f"bytes in the encoding {encoding!r}")
        return text.encode("latin1")


class _Dtype:
    """The dtype of a NumPy scalar; integers only."""

    def __init__(self, code: str) -> None:
        if not _INTEGER.fullmatch(code):
            raise ValueError(f"a scalar of the dtype {code!r}")
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = {"<": "<", ">": ">", "|": "|"}[state[1]]
