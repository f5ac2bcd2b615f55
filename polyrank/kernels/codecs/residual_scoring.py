"""MaxSim over documents in the residual codec, without restoring them.

A token decodes to (c + r) / |c + r| with centroid c and residual r, so for a query token q

    q · token = (q · c + q · r) / |c + r|

The inverse norms are made when documents are packed. On a GPU, and by PyTorch, a table of q · c is
made once for all centroids; scoring then reads a token's code, its residual bytes and its norm, and
never a centroid's row. The compiled kernel restores each token in cache, once for all queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.kernels.backend import use_triton
from polyrank.kernels.codecs.codec import Arrays, Codebook, Codec, Queries
from polyrank.kernels.codecs.compressed import check_offsets, check_queries, compiled, live, scan
from polyrank.kernels.codecs.residual import BITS, ResidualCodec, fit_codec
from polyrank.kernels.cpu import native, native_rows
from polyrank.kernels.cpu.product import product, workspace
from polyrank.kernels.cpu.scan import BLOCK, Rows, Similarity
from polyrank.kernels.cpu.threads import each, one_thread


@dataclass(frozen=True, eq=False)
class ResidualDocuments:
    """Documents end to end in the residual codec.

    Attributes:
        codec: what the bytes mean.
        codes: (T,) int32, the centroid of each token.
        residuals: (T, d · bits / 8) uint8.
        inverse_norms: (T,) fp32 or fp16, 1 / |centroid + residual|; see `pack_documents`.
        offsets: (D + 1,) int64; document i is tokens offsets[i] to offsets[i + 1].
    """

    codec: ResidualCodec
    codes: Tensor
    residuals: Tensor
    inverse_norms: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        if self.offsets.device.type == "cpu":  # elsewhere a look at the values would stall
            check_offsets(self.offsets, len(self.residuals))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens and offsets, without the codec."""
        parts = (self.codes, self.residuals, self.inverse_norms, self.offsets)
        return sum(part.nbytes for part in parts)

    def to(self, device: torch.device | str) -> ResidualDocuments:
        return replace(
            self,
            codec=self.codec.to(device),
            codes=self.codes.to(device),
            residuals=self.residuals.to(device),
            inverse_norms=self.inverse_norms.to(device),
            offsets=self.offsets.to(device),
        )

    def decode(self) -> Tensor:
        """The token vectors, (T, d), fp32."""
        return self.codec.decode(self.codes, self.residuals)

    def select(self, documents: Tensor) -> ResidualDocuments:
        """A copy of some documents, in the order given: (N,) int64 numbers."""
        lengths = self.offsets.diff()[documents]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = self.offsets[documents] - offsets[:-1]
        tokens = torch.arange(int(offsets[-1]), device=offsets.device)
        tokens += torch.repeat_interleave(shift, lengths)
        return replace(
            self,
            codes=self.codes[tokens],
            residuals=self.residuals[tokens],
            inverse_norms=self.inverse_norms[tokens],
            offsets=offsets,
        )


def pack_documents(
    codec: ResidualCodec,
    codes: Tensor,
    residuals: Tensor,
    offsets: Tensor,
    norm_dtype: torch.dtype = torch.float32,
) -> ResidualDocuments:
    """Documents from codes and bytes, of our own `codec.encode` or of a foreign index.

    Args:
        codes: (T,), any integer dtype.
        residuals: (T, d · bits / 8) uint8.
        offsets: (D + 1,) int64.
        norm_dtype: fp32 scores as the decoded vectors do; fp16 saves 2 bytes a token and changes a
            similarity by at most 1 part in 2,048.

    Raises:
        UsageError: codes beyond the centroids, or shapes that do not fit the codec.
    """
    if residuals.shape != (len(codes), codec.token_bytes) or residuals.dtype != torch.uint8:
        raise UsageError(
            f"the residuals are {tuple(residuals.shape)} of {residuals.dtype}; this codec has "
            f"{codec.token_bytes} bytes of uint8 for each of the {len(codes)} tokens"
        )
    if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < len(codec.centroids):
        raise UsageError(
            f"the codes run from {int(codes.min())} to {int(codes.max())}, but the codec has "
            f"{len(codec.centroids)} centroids; read both from one index"
        )
    check_offsets(offsets, len(codes))
    norms = codec.inverse_norms(codes, residuals).to(norm_dtype)
    return ResidualDocuments(codec, codes.int(), residuals.contiguous(), norms, offsets)


@torch.no_grad()
def maxsim_residual(
    queries: Tensor,
    documents: ResidualDocuments,
    query_mask: Tensor | None = None,
    document_mask: Tensor | None = None,
) -> Tensor:
    """MaxSim of every query with every compressed document.

    Equal to `maxsim_packed` over `documents.decode()` up to rounding.

    Args:
        queries: (Q, Lq, d). On a GPU fp32 is multiplied in fp32, and fp16 or bf16 in fp16, what
            the centroids give rounded to it; on a CPU everything is fp32.
        query_mask: (Q, Lq), True for tokens that count.
        document_mask: (T,), likewise over the packed tokens.

    Returns:
        (Q, D), fp32; -inf for a document without tokens.

    Raises:
        UsageError: shapes that do not fit.
    """
    tokens = len(documents.codes)
    check_queries(queries, query_mask, document_mask, documents.codec.width, tokens)
    queries = live(queries, query_mask)
    if use_triton(documents.codes):
        from polyrank.kernels.triton.residual_kernel import score

        return score(queries, documents, document_mask)
    if native.takes(queries, documents.residuals):
        parts = documents.residuals, documents.codes, documents.inverse_norms
        rows = native_rows.residuals(*parts, *documents.codec.tables())
        return compiled(queries, rows, documents.offsets, document_mask)
    return scan(queries, documents.offsets, document_mask, _Prepared(documents))


class _Prepared:
    """The similarity by PyTorch: table rows by code, plus residuals · q, times the inverse norm."""

    def __init__(self, documents: ResidualDocuments) -> None:
        self.documents, self.codes = documents, documents.codes
        self.centroids = documents.codec.centroids
        if len(self.codes) < len(self.centroids):  # few tokens: only their centroids
            with one_thread():
                used, self.codes = self.codes.unique(return_inverse=True)
                self.centroids = self.centroids[used]

    def __call__(self, columns: Tensor) -> Callable[[], Similarity]:
        multiply = product(columns.device, torch.float32)
        table = self._table(columns)
        with one_thread():
            decode = self.documents.codec.decoder()

        def make() -> Similarity:
            copies, products, sums = (
                workspace(use, columns.device, torch.float32) for use in ("copy", "product", "sum")
            )

            def similarity(rows: Rows, count: int) -> Tensor:
                found = sums.take(count, len(columns))
                torch.index_select(table, 0, self.codes[rows], out=found)
                weights = copies.take(count, columns.shape[1])
                decode(self.documents.residuals[rows], weights)
                found += multiply(weights, columns, products)
                return found.mul_(self.documents.inverse_norms[rows, None])

            return similarity

        return make

    def _table(self, columns: Tensor) -> Tensor:
        """The similarity of every centroid with the query tokens: (C, d) → (K, C)."""
        device, multiply = columns.device, product(columns.device, torch.float32)
        table = torch.empty(len(self.centroids), len(columns), device=device)
        step = max(BLOCK // max(len(columns), 1), 1)

        def worker() -> Callable[[int], None]:
            room = workspace("product", device, torch.float32)

            def fill(start: int) -> None:
                part = slice(start, start + step)
                table[part] = multiply(self.centroids[part].float(), columns, room)

            return fill

        starts = range(0, len(table), step)
        each(starts, worker, max(min(torch.get_num_threads(), len(starts)), 1))
        return table


# --- rows of the table ---------------------------------------------------------------------------


def _encode(vectors: Tensor, codebook: Codebook) -> dict[str, Tensor]:
    codec: ResidualCodec = codebook.prepared
    codes, residuals = codec.encode(vectors)
    whole = torch.tensor([0, len(vectors)])
    norms = pack_documents(codec, codes, residuals, whole, torch.float16).inverse_norms
    return {"codes": codes, "residuals": residuals, "norms": norms}


def _decode(arrays: Arrays, codebook: Codebook) -> Tensor:
    codec: ResidualCodec = codebook.prepared
    return codec.decode(arrays["codes"], arrays["residuals"])


def _score(queries: Queries, arrays: Arrays, offsets: Tensor, codebook: Codebook) -> Tensor:
    codec: ResidualCodec = codebook.prepared
    parts = arrays["codes"], arrays["residuals"], arrays["norms"]
    documents = ResidualDocuments(codec.to(offsets.device), *parts, offsets)
    return maxsim_residual(queries.vectors, documents, queries.mask)


def _native_rows(arrays: Arrays, codebook: Codebook) -> native_rows.NativeRows:
    parts = arrays["residuals"], arrays["codes"], arrays["norms"]
    return native_rows.residuals(*parts, *codebook.prepared.tables())


def _prepare(arrays: Mapping[str, Tensor]) -> ResidualCodec:
    return ResidualCodec(arrays["centroids"], arrays["cutoffs"], arrays["weights"])


def _row(bits: int) -> Codec:
    """A row for `bits` of a dimension: residuals, an inverse norm in fp16, a code in int32."""

    def fit(sample: Tensor, centroids: int, seed: int) -> dict[str, Tensor]:
        codec = fit_codec(sample, bits, centroids, seed=seed)
        return {"centroids": codec.centroids, "cutoffs": codec.cutoffs, "weights": codec.weights}

    return Codec(
        f"residual-{bits}",
        arrays=("codes", "residuals", "norms"),
        token_bytes=lambda width: width * bits // 8 + 2 + 4,
        encode=_encode,
        decode=_decode,
        score=_score,
        native_rows=_native_rows,
        fit=fit,
        prepare=_prepare,
        needs_centroids=True,
    )


RESIDUAL_1, RESIDUAL_2, RESIDUAL_4, RESIDUAL_8 = map(_row, BITS)
