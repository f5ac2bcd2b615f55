"""MaxSim without Triton: by the compiled kernel of `native.py` where it can, else by PyTorch.

PyTorch's way, for any device and type, is flat matrix products and segmented maxima: `scan.py` goes
through the blocks, `segments.py` takes the maxima; here rows are multiplied, those that are masked
left out before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polyrank.kernels.contract import Problem
from polyrank.kernels.cpu import native, native_rows
from polyrank.kernels.cpu.product import Workspace, product, workspace
from polyrank.kernels.cpu.scan import Prepare, Rows, Similarity, scan


def forward(
    queries: Tensor, documents: Tensor, problem: Problem, argmax: bool
) -> tuple[Tensor, Tensor | None]:
    """Scores (Q, N), and winners int32 (Tq, N): see `scan`."""
    if native.takes(queries, documents):
        return native.forward(queries, native_rows.vectors(documents), problem, argmax)
    dtype = torch.promote_types(torch.promote_types(queries.dtype, documents.dtype), torch.float32)
    multiply = product(queries.device, dtype)
    mask = problem.documents.mask
    zeroed = mask if problem.zero_mask else None

    def worker() -> Prepare:
        copies, products = (workspace(use, queries.device, dtype) for use in ("copy", "product"))

        def prepare(tokens: Tensor) -> Similarity:
            def similarity(rows: Rows, count: int) -> Tensor:
                vectors = _vectors(documents, rows, count, zeroed, copies)
                return multiply(vectors, tokens, products)

            return similarity

        return prepare

    copied = mask is not None or documents.dtype != dtype
    return scan(queries.to(dtype), problem, worker, argmax, copied)


def _vectors(
    documents: Tensor, rows: Rows, count: int, zeroed: Tensor | None, room: Workspace
) -> Tensor:
    """The rows in the type that they are multiplied in, copied only when need be.

    zeroed: a mask whose rows without True get similarity 0.
    """
    same_type = documents.dtype == room.dtype
    if isinstance(rows, slice) and same_type and zeroed is None:
        return documents[rows]
    vectors = room.take(count, documents.shape[1])
    if isinstance(rows, Tensor) and same_type:
        torch.index_select(documents, 0, rows, out=vectors)
    else:
        vectors.copy_(documents[rows])
    if zeroed is not None:
        vectors.masked_fill_(~zeroed[rows, None], 0)
    return vectors
