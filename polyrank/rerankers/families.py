"""The families of rerankers: from a spec to one that ranks. `load.RERANKERS` names these functions.

Each imports what it needs when it is called, so that one family does not load the others' code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyrank.base import DEFAULT_BASE
from polyrank.modules.kinds import NO_RANKING, language_kinds
from polyrank.progress import note

if TYPE_CHECKING:
    from polyrank.rerankers.base import Reranker
    from polyrank.rerankers.load import RerankerSpec

DEFAULT_RANKING = "squad"  # of a cross-encoder
WITHOUT_MODULE = (
    "no ranking module of that kind for this base: late interaction over the base alone"
)


def modular(spec: RerankerSpec) -> Reranker:
    """A cross-encoder over a base with modules."""
    from polyrank.rerankers.modular import ModularReranker

    return ModularReranker(**_of_pairs(spec))


def multi_view(spec: RerankerSpec) -> Reranker:
    """Lists by view tokens over a base with modules."""
    from polyrank.rerankers.multi_view import MultiViewReranker

    return MultiViewReranker(**_of_pairs(spec))


def _of_pairs(spec: RerankerSpec) -> dict[str, Any]:
    """The arguments of `ModularReranker`."""
    return {
        "base": spec.base or DEFAULT_BASE,
        "ranking": spec.ranking or DEFAULT_RANKING,
        "kind": spec.kind,
        "ranking_kind": spec.of_ranking,
        "routing": spec.routing,
        "fallback": spec.fallback,
        "max_length": spec.max_length,
        "device": spec.device,
        "precision": spec.precision,
        "zoo": spec.zoo,
        **spec.options,
    }


def late_interaction(spec: RerankerSpec) -> Reranker:
    """MaxSim over a base with modules, or over a checkpoint, which then is the base."""
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.late_interaction.parts import with_ranking

    base, ranking = spec.base or DEFAULT_BASE, spec.model or spec.ranking
    if ranking is None:
        base, ranking = with_ranking(base, None, spec.of_ranking, spec.zoo)
        if ranking == NO_RANKING:
            note(WITHOUT_MODULE)
    return LateInteraction(base, ranking, **_of_texts(spec))


def dot_product(spec: RerankerSpec) -> Reranker:
    """Dot products of texts' vectors over a base with modules."""
    from polyrank.late_interaction.pooled_vectors import DotProduct

    return DotProduct(spec.base or DEFAULT_BASE, spec.ranking, **_of_texts(spec))


def kernel_pooling(spec: RerankerSpec) -> Reranker:
    """Kernels over token vectors of a base with modules."""
    from polyrank.late_interaction.kernel_scores import KernelScores

    return KernelScores(spec.base or DEFAULT_BASE, spec.ranking, **_of_texts(spec))


def _of_texts(spec: RerankerSpec) -> dict[str, Any]:
    """The arguments of `LateInteraction` after base and ranking module."""
    return {
        "kind": spec.of_ranking,
        "routing": spec.routing,
        "fallback": spec.fallback,
        "query_length": spec.query_length,
        "document_length": spec.max_length,
        "device": spec.device,
        "precision": spec.precision,
        "zoo": spec.zoo,
        "language_kind": (
            spec.kind if spec.ranking_kind and spec.kind in language_kinds() else None
        ),
        "keep": spec.keep,
        **spec.options,
    }


def composition(spec: RerankerSpec) -> Reranker:
    """A cross-encoder over the modules of a saved composition."""
    from polyrank.composition.saved import SavedComposition, read_composition
    from polyrank.rerankers.composed import ComposedReranker

    saved = spec.composition
    assert saved is not None
    if not isinstance(saved, SavedComposition):
        saved = read_composition(saved)
    return ComposedReranker(
        saved,
        spec.base,
        spec.zoo,
        max_length=spec.max_length,
        device=spec.device,
        precision=spec.precision,
        **spec.options,
    )


def cross_encoder(spec: RerankerSpec) -> Reranker:
    """A cross-encoder in one piece."""
    from polyrank.rerankers.cross_encoder import CrossEncoder

    return CrossEncoder(
        spec.model or "",
        max_length=spec.max_length,
        device=spec.device,
        precision=spec.precision,
        **spec.options,
    )


def llm(spec: RerankerSpec) -> Reranker:
    """A language model with one of the scorers of `polyrank.rerankers.llm.SCORERS`; the option
    `engine` is one that runs already."""
    from polyrank.rerankers.llm.load import load_llm_reranker

    options = {name: value for name, value in spec.options.items() if value is not None}
    engine = options.pop("engine", spec.model)
    if spec.seed is not None:
        options.setdefault("seed", spec.seed)
    return load_llm_reranker(engine, device=spec.device, precision=spec.precision, **options)
