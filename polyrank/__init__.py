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
    from polyrank.composition.plan import Composition, compose
    from polyrank.composition.saved import read_composition, save_composition
    from polyrank.corpus.clean import clean_corpus
    from polyrank.corpus.mix import mix_corpus
    from polyrank.corpus.report import corpus_report
    from polyrank.corpus.rules import Thresholds
    from polyrank.evaluation import compare, evaluate
    from polyrank.evaluation.explain import explain
    from polyrank.index.dense import Dense
    from polyrank.index.lexical import BM25
    from polyrank.index.modular_dense import ModularDense
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.pipeline import FanOut, Fusion, Pipeline
    from polyrank.rerankers.composed import ComposedReranker
    from polyrank.rerankers.cross_encoder import CrossEncoder
    from polyrank.rerankers.llm.decompose import load_decomposer
    from polyrank.rerankers.load import RerankerSpec, load_reranker
    from polyrank.rerankers.modular import ModularReranker as Reranker
    from polyrank.runs.fusion import fuse, interpolate
    from polyrank.training.distillation.distil import distill_bilingual
    from polyrank.training.head.train_head import train_head
    from polyrank.training.language.train_language import train_language_module
    from polyrank.training.late_interaction.train_late_interaction import train_late_interaction
    from polyrank.training.llm.train_llm import train_llm_reranker
    from polyrank.training.ranking.train_ranking import train_ranking_module
    from polyrank.translation.presets import with_translations
    from polyrank.translation.translator import load_translator

    __version__: str

# Public name -> the module that defines it, with its name there where that is another.
_HOMES = {
    "BM25": "polyrank.index.lexical",
    "ComposedReranker": "polyrank.rerankers.composed",
    "Composition": "polyrank.composition.plan",
    "CrossEncoder": "polyrank.rerankers.cross_encoder",
    "Dense": "polyrank.index.dense",
    "ModularDense": "polyrank.index.modular_dense",
    "Document": "polyrank.collections.records",
    "FanOut": "polyrank.pipeline",
    "Fusion": "polyrank.pipeline",
    "LateInteraction": "polyrank.late_interaction.model",
    "Pipeline": "polyrank.pipeline",
    "MultiVectorIndex": "polyrank.index.multivector",
    "Query": "polyrank.collections.records",
    "Reranker": "polyrank.rerankers.modular:ModularReranker",
    "RerankerSpec": "polyrank.rerankers.load",
    "Thresholds": "polyrank.corpus.rules",
    "clean_corpus": "polyrank.corpus.clean",
    "compare": "polyrank.evaluation",
    "compose": "polyrank.composition.plan",
    "corpus_report": "polyrank.corpus.report",
    "distill_bilingual": "polyrank.training.distillation.distil",
    "evaluate": "polyrank.evaluation",
    "explain": "polyrank.evaluation.explain",
    "fuse": "polyrank.runs.fusion",
    "interpolate": "polyrank.runs.fusion",
    "load_collection": "polyrank.collections.load",
    "load_decomposer": "polyrank.rerankers.llm.decompose",
    "load_reranker": "polyrank.rerankers.load",
    "load_translator": "polyrank.translation.translator",
    "mix_corpus": "polyrank.corpus.mix",
    "read_composition": "polyrank.composition.saved",
    "read_run": "polyrank.collections.trec",
    "save_composition": "polyrank.composition.saved",
    "to_frame": "polyrank.collections.texts",
    "train_head": "polyrank.training.head.train_head",
    "train_language_module": "polyrank.training.language.train_language",
    "train_late_interaction": "polyrank.training.late_interaction.train_late_interaction",
    "train_llm_reranker": "polyrank.training.llm.train_llm",
    "train_ranking_module": "polyrank.training.ranking.train_ranking",
    "with_translations": "polyrank.translation.presets",
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
    "RerankerSpec",
    "Thresholds",
    "__version__",
    "clean_corpus",
    "compare",
    "compose",
    "corpus_report",
    "distill_bilingual",
    "evaluate",
    "explain",
    "fuse",
    "interpolate",
    "load_collection",
    "load_decomposer",
    "load_reranker",
    "load_translator",
    "mix_corpus",
    "read_composition",
    "read_run",
    "save_composition",
    "to_frame",
    "train_head",
    "train_language_module",
    "train_late_interaction",
    "train_llm_reranker",
    "train_ranking_module",
    "with_translations",
    "write_run",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("polyrank")
    elif name in _HOMES:
        module, _, there = _HOMES[name].partition(":")
        value = getattr(import_module(module), there or name)
    else:
        raise AttributeError(f"module 'polyrank' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
