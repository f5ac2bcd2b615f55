"""In which numbers an encoder runs: one name, the same in Python, on the command line and in runs.

fp32   the meaning of all others
bf16   16 bits with fp32's range: for a GPU, or a CPU with AMX or AVX512-BF16
fp16   the same with a narrower range and more digits
int8   linear layers in 8 bits on a CPU, the rest in fp32 (`polyrank.encoders.int8`)
auto   the fastest here of those that lose nothing to speak of (`polyrank.encoders.fastest`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from polyrank.errors import UsageError

AUTO = "auto"


@dataclass(frozen=True)
class Precision:
    """A name, the dtype of what is not quantised, and whether linear layers are."""

    name: str
    dtype: torch.dtype
    quantised: bool = False

    def identity(self) -> dict[str, str]:
        """For what scores depend on; of fp32 nothing, so that older runs go on."""
        return {} if self == FP32 else {"precision": self.name}


FP32 = Precision("fp32", torch.float32)
PRECISIONS: Mapping[str, Precision] = {
    one.name: one
    for one in (
        FP32,
        Precision("bf16", torch.bfloat16),
        Precision("fp16", torch.float16),
        Precision("int8", torch.float32, quantised=True),
    )
}
DTYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}  # as PyTorch calls them


def as_precision(name: str | Precision | None) -> Precision:
    """A precision by its name, or by that of its dtype; fp32 for None.

    Raises:
        UsageError: another name, or 'auto', which only `polyrank.encoders.fastest` settles.
    """
    if isinstance(name, Precision):
        return name
    known = "fp32" if name is None else DTYPES.get(name, name)
    if known == AUTO:
        raise UsageError("precision 'auto' is not for this model; use fp32, bf16 or fp16")
    if known not in PRECISIONS:
        raise UsageError(f"unknown precision '{name}'; use one of {', '.join([*PRECISIONS, AUTO])}")
    return PRECISIONS[known]
