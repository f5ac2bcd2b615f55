"""Compressed token vectors and MaxSim over them, one codec a file.

`CODECS` is the table: a codec's name, and where its `Codec` is defined (module:name), so that the
names are known without loading any.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from polyrank.errors import UsageError

if TYPE_CHECKING:
    from polyrank.kernels.codecs.codec import Codec

CODECS: dict[str, str] = {
    "fp16": "polyrank.kernels.codecs.fp16:FP16",
    "int8": "polyrank.kernels.codecs.int8:INT8",
    "residual-1": "polyrank.kernels.codecs.residual_scoring:RESIDUAL_1",
    "residual-2": "polyrank.kernels.codecs.residual_scoring:RESIDUAL_2",
    "residual-4": "polyrank.kernels.codecs.residual_scoring:RESIDUAL_4",
    "residual-8": "polyrank.kernels.codecs.residual_scoring:RESIDUAL_8",
}


def codec_of(name: str) -> Codec:
    """A codec by its name.

    Raises:
        UsageError: none of that name.
    """
    if name not in CODECS:
        raise UsageError(f"unknown codec '{name}'; use one of {', '.join(CODECS)}")
    module, _, attribute = CODECS[name].partition(":")
    codec: Codec = getattr(import_module(module), attribute)
    return codec
