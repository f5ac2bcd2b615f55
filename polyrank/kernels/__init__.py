"""MaxSim, residual codes and routed adapters: fast paths beside the references that define them.

Each name below is imported when it is first used, so that one kernel does not load the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrank.kernels.autograd import (
        maxsim,
        maxsim_packed,
        maxsim_pairs,
        maxsim_per_query,
    )
    from polyrank.kernels.codecs.int8 import encode_int8, maxsim_int8
    from polyrank.kernels.codecs.kmeans import kmeans
    from polyrank.kernels.codecs.residual import ResidualCodec, fit_codec
    from polyrank.kernels.codecs.residual_scoring import maxsim_residual, pack_documents
    from polyrank.kernels.topk import maxsim_topk

# Public name -> the module that defines it.
_HOMES = {
    "ResidualCodec": "polyrank.kernels.codecs.residual",
    "encode_int8": "polyrank.kernels.codecs.int8",
    "fit_codec": "polyrank.kernels.codecs.residual",
    "kmeans": "polyrank.kernels.codecs.kmeans",
    "maxsim": "polyrank.kernels.autograd",
    "maxsim_int8": "polyrank.kernels.codecs.int8",
    "maxsim_packed": "polyrank.kernels.autograd",
    "maxsim_pairs": "polyrank.kernels.autograd",
    "maxsim_per_query": "polyrank.kernels.autograd",
    "maxsim_residual": "polyrank.kernels.codecs.residual_scoring",
    "maxsim_topk": "polyrank.kernels.topk",
    "pack_documents": "polyrank.kernels.codecs.residual_scoring",
}

__all__ = [
    "ResidualCodec",
    "encode_int8",
    "fit_codec",
    "kmeans",
    "maxsim",
    "maxsim_int8",
    "maxsim_packed",
    "maxsim_pairs",
    "maxsim_per_query",
    "maxsim_residual",
    "maxsim_topk",
    "pack_documents",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'polyrank.kernels' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
