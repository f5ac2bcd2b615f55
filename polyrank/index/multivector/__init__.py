"""A multi-vector index: memory-mapped, exact or compressed, with languages and crash-safe changes.

INDEX/
  manifest.json     the state: what it is bound to, its segments; replaced in one step
  segments/NAME/    documents and vectors that were written together; never changed
  tombstones/       which documents of a segment are deleted, a file per change
  codec/            the codebook: centroids and buckets
  lock              held by the one writer
INDEX.work/         a build that is not finished
"""

from polyrank.index.multivector.binding import Binding, Module
from polyrank.index.multivector.building import Built, Plan, build
from polyrank.index.multivector.changes import Change, add, compact, delete
from polyrank.index.multivector.encoder import Encoder, ModelEncoder
from polyrank.index.multivector.index import Info, MultiVectorIndex, Verification, verify
from polyrank.index.multivector.search import Pruning
from polyrank.kernels.codecs import CODECS

__all__ = [
    "CODECS",
    "Binding",
    "Built",
    "Change",
    "Encoder",
    "Info",
    "ModelEncoder",
    "Module",
    "MultiVectorIndex",
    "Plan",
    "Pruning",
    "Verification",
    "add",
    "build",
    "compact",
    "delete",
    "verify",
]
