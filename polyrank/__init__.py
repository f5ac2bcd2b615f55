"""polyrank: multilingual modular adapters for reranking.

`import polyrank` is light: each name below is imported, with what it needs, when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrank.collections.load import load_collection
    from polyrank.collections.records import Document, Query
    from polyrank.collections.texts import to_frame
    from polyrank.collections.trec import read_run, write_run
    from polyrank.composition import Composition, compose
    from polyrank.corpus.clean import clean_corpus
    from polyrank.corpus.mix import mix_corpus
    from polyrank.corpus.report import corpus_report
    from polyrank.corpus.rules import Thresholds
    from polyrank.evaluation import compare, evaluate
    from polyrank.fusion import fuse, interpolate
    from polyrank.index.dense import Dense
    from polyrank.index.lexical import BM25
    from polyrank.index.modular_dense import ModularDense
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.rerankers.composed import ComposedReranker
    from polyrank.rerankers.cross_encoder import Reranker
    from polyrank.rerankers.late_interaction import LateInteraction
    from polyrank.rerankers.standalone import CrossEncoder
    from polyrank.retrieval import FanOut, Fusion, Pipeline
    from polyrank.saved_composition import read_composition, save_composition
    from polyrank.training.bilingual.distil import distill_bilingual
    from polyrank.training.head import train_head
    from polyrank.training.language import train_language_module
    from polyrank.training.late_interaction import train_late_interaction
    from polyrank.training.ranking import train_ranking_module

    __version__: str

# Public name -> the module that defines it.
_HOMES = {
    "BM25": "polyrank.index.lexical",
    "ComposedReranker": "polyrank.rerankers.composed",
    "Composition": "polyrank.composition",
    "CrossEncoder": "polyrank.rerankers.standalone",
    "Dense": "polyrank.index.dense",
    "ModularDense": "polyrank.index.modular_dense",
    "Document": "polyrank.collections.records",
    "FanOut": "polyrank.retrieval",
    "Fusion": "polyrank.retrieval",
    "LateInteraction": "polyrank.rerankers.late_interaction",
    "Pipeline": "polyrank.retrieval",
    "MultiVectorIndex": "polyrank.index.multivector",
    "Query": "polyrank.collections.records",
    "Reranker": "polyrank.rerankers.cross_encoder",
    "Thresholds": "polyrank.corpus.rules",
    "clean_corpus": "polyrank.corpus.clean",
    "compare": "polyrank.evaluation",
    "compose": "polyrank.composition",
    "corpus_report": "polyrank.corpus.report",
    "distill_bilingual": "polyrank.training.bilingual.distil",
    "evaluate": "polyrank.evaluation",
    "fuse": "polyrank.fusion",
    "interpolate": "polyrank.fusion",
    "load_collection": "polyrank.collections.load",
    "mix_corpus": "polyrank.corpus.mix",
    "read_composition": "polyrank.saved_composition",
    "read_run": "polyrank.collections.trec",
    "save_composition": "polyrank.saved_composition",
    "to_frame": "polyrank.collections.texts",
    "train_head": "polyrank.training.head",
    "train_language_module": "polyrank.training.language",
    "train_late_interaction": "polyrank.training.late_interaction",
    "train_ranking_module": "polyrank.training.ranking",
    "write_run": "polyrank.collections.trec",
}

__all__ = [
    "BM25",
    "ComposedReranker",
    "Composition",
    "CrossEncoder",
    "Dense",
    "Document",
    "FanOut",
    "Fusion",
    "LateInteraction",
    "ModularDense",
    "MultiVectorIndex",
    "Pipeline",
    "Query",
    "Reranker",
    "Thresholds",
    "__version__",
    "clean_corpus",
    "compare",
    "compose",
    "corpus_report",
    "distill_bilingual",
    "evaluate",
    "fuse",
    "interpolate",
    "load_collection",
    "mix_corpus",
    "read_composition",
    "read_run",
    "save_composition",
    "to_frame",
    "train_head",
    "train_language_module",
    "train_late_interaction",
    "train_ranking_module",
    "write_run",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("polyrank")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'polyrank' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
