"""The one place that turns a name, a folder, a Hub id, a saved composition or a spec into a
reranker. Command line, experiments, teachers, Ray workers and tests all use it.

A reranker of another family is one file and one row of `RERANKERS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from polyrank.base import DEFAULT_BASE
from polyrank.errors import ModuleError, UsageError
from polyrank.modules.card import CARD_FILE, ROLES, read_card
from polyrank.modules.kinds import DEFAULT_KIND, KINDS, NO_RANKING

if TYPE_CHECKING:
    from polyrank.base import Base
    from polyrank.composition.saved import SavedComposition
    from polyrank.rerankers.base import Reranker, Scorer


@dataclass(frozen=True)
class RerankerSpec:
    """Which reranker, as a value that can be compared, kept in a file and sent to a worker.

    Attributes:
        type: a name of `RERANKERS`; None finds out from the rest.
        model: a folder or Hub id of a model in one piece.
        composition: a file of `polyrank compose`, or what was read from it.
        base: name, folder or Hub id, or a loaded base; None takes that of the composition, or the
            default.
        ranking: the ranking module's name or folder, or 'none' for late interaction over the base
            alone. None takes what the base is best with: late interaction where its card says that
            its vectors are for retrieval, else the cross-encoder 'squad'.
        kind, ranking_kind: of the language modules, and of the ranking module where that differs.
        routing: which tokens see which language module; None takes the usual one.
        fallback: for a language without module: 'error', 'related' or 'none'.
        max_length: tokens that are read of a pair, or of a document in late interaction.
        query_length: tokens of a query in late interaction; None as in training.
        device, precision: where and in what it runs: 'fp32' (default), 'bf16', 'fp16', 'int8' on a
            CPU, or 'auto', the fastest that is known to lose nothing to speak of.
        zoo: a folder to search for modules first.
        keep: bytes of document vectors that late interaction keeps between queries.
        seed: of everything random; None leaves the generators alone.
        options: of this type of reranker alone; a language model has `scorer`, `prompt`, `window`,
            `step`, `engine_url` and those of its scorer.
    """

    type: str | None = None
    model: str | None = None
    composition: str | Path | SavedComposition | None = None
    base: str | Base | None = None
    ranking: str | None = None
    kind: str = DEFAULT_KIND
    ranking_kind: str | None = None
    routing: str | None = None
    fallback: str = "error"
    max_length: int = 256
    query_length: int | None = None
    device: str | None = None
    precision: str | None = None
    zoo: str | Path | None = None
    keep: int = 0
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_ranking(self) -> str:
        """The kind of the ranking module."""
        return self.ranking_kind or self.kind


class Row(NamedTuple):
    """A family of rerankers: a function from a spec to a reranker, by its dotted path, and what it
    is."""

    load: str
    about: str


RERANKERS: dict[str, Row] = {
    "modular": Row(
        "polyrank.rerankers.families:modular",
        "a cross-encoder over a base, language modules and a ranking module",
    ),
    "multi-view": Row(
        "polyrank.rerankers.families:multi_view",
        "vectors of view tokens over a base with modules, scored by anchors of the whole list",
    ),
    "late-interaction": Row(
        "polyrank.rerankers.families:late_interaction",
        "token vectors of a base with modules, or of a ColBERT checkpoint, scored by MaxSim",
    ),
    "dot-product": Row(
        "polyrank.rerankers.families:dot_product",
        "a vector of each text, by a base with modules; their dot product",
    ),
    "kernel-pooling": Row(
        "polyrank.rerankers.families:kernel_pooling",
        "token vectors of each text, by a base with modules; kernels over their cosines",
    ),
    "composition": Row(
        "polyrank.rerankers.families:composition", "a file of 'polyrank compose': its modules alone"
    ),
    "cross-encoder": Row(
        "polyrank.rerankers.families:cross_encoder",
        "a Hugging Face sequence classifier of one logit, distilled, merged or any other",
    ),
    "llm": Row(
        "polyrank.rerankers.families:llm",
        "a language model, in this process or behind a server, with one of several scorers",
    ),
}


def load_reranker(
    spec: str | Path | Mapping[str, Any] | RerankerSpec | SavedComposition | Reranker | Scorer,
    **options: Any,
) -> Reranker:
    """A reranker by its name, folder, Hub id, saved composition or spec.

    A name may be a base ('e5-small', a Hub id, a folder), a ranking module
    ('e5-small/ranking/adapter/squad', or its folder), a file of `polyrank compose`, or a model in
    one piece: a cross-encoder's folder or a ColBERT checkpoint's.

    Args:
        spec: any of these; a reranker is given back as it is.
        options: fields of `RerankerSpec`, over those of the spec.

    Raises:
        UsageError: an unknown type or option.
        ModuleError, CompositionError: what cannot be found, read, or put together.

    Example:
        load_reranker("e5-small").rank("Ni ryari?", ["Ejo.", "Oya."], query_language="rw")
    """
    from polyrank.rerankers.base import Reranker, as_reranker

    if isinstance(spec, Reranker) or hasattr(spec, "score"):
        if options:
            raise UsageError(f"'{min(options)}' is for a spec; this is a reranker already")
        return as_reranker(spec)  # type: ignore[arg-type]
    spec = _typed(spec_of(spec, **options))
    if spec.seed is not None:
        import torch

        torch.manual_seed(spec.seed)
    row = RERANKERS[str(spec.type)]
    module, name = row.load.split(":")
    load: Callable[[RerankerSpec], Reranker] = getattr(import_module(module), name)
    return load(spec)


def spec_of(spec: Any, **options: Any) -> RerankerSpec:
    """What `load_reranker` takes, as a spec.

    Raises:
        UsageError: an unknown type or option.
    """
    known = {each.name for each in fields(RerankerSpec)}
    given = dict(spec) if isinstance(spec, Mapping) else {}
    if unknown := {*given, *options} - known:
        raise UsageError(
            f"a reranker has no option '{min(unknown)}'; it has {', '.join(sorted(known))}"
        )
    if isinstance(spec, str | Path) and str(spec):
        made = _named(str(spec))
    elif isinstance(spec, RerankerSpec):
        made = spec
    elif isinstance(spec, Mapping):
        made = RerankerSpec(**given)
    elif hasattr(spec, "composition"):
        made = RerankerSpec(composition=spec)
    else:
        raise UsageError(
            f"a reranker is a name, a folder, a mapping or a spec, not {spec!r}; such as 'e5-small'"
        )
    return _checked(replace(made, **options))


def with_settled(spec: RerankerSpec, reranker: Reranker) -> RerankerSpec:
    """The spec with the precision that 'auto' meant here, for workers on other machines."""
    precision = getattr(reranker, "precision", None)
    return spec if precision is None else replace(spec, precision=precision.name)


def _checked(spec: RerankerSpec) -> RerankerSpec:
    """The spec with paths as texts.

    Raises:
        UsageError: an unknown type, fields that exclude each other, or one that is missing.
    """
    paths: dict[str, Any] = {}
    for name in ("model", "base", "ranking"):
        if isinstance(getattr(spec, name), Path):
            paths[name] = str(getattr(spec, name))
    spec = replace(spec, **paths)
    if spec.type is not None and spec.type not in RERANKERS:
        raise UsageError(f"unknown reranker '{spec.type}'; use one of {', '.join(RERANKERS)}")
    needed = {"composition": "composition", "cross-encoder": "model", "llm": "model"}.get(
        spec.type or ""
    )
    if needed is not None and not getattr(spec, needed):
        raise UsageError(f"a reranker of type '{spec.type}' needs '{needed}'")
    if spec.model is not None and spec.composition is not None:
        raise UsageError("give 'model' or 'composition', not both")
    if spec.max_length < 1:
        raise UsageError(f"max_length is {spec.max_length}; give 1 or more")
    if spec.options and spec.type is None and "scorer" not in spec.options:
        raise UsageError("'options' are those of one type of reranker; give its 'type'")
    return spec


def _named(name: str) -> RerankerSpec:
    """A spec by a name alone."""
    path = Path(name).expanduser()
    if path.is_file():
        return RerankerSpec(composition=name)
    if (path / CARD_FILE).is_file():
        card = read_card(path, verify=False)
        return RerankerSpec(base=card.base, ranking=str(path), kind=card.kind)
    if path.is_dir():
        return RerankerSpec(model=name) if _in_one_piece(path) else RerankerSpec(base=name)
    parts = name.split("/")
    if len(parts) == 4 and parts[1] in ROLES and parts[2] in KINDS:
        if parts[1] != "ranking":
            raise UsageError(f"'{name}' is a language module; give a ranking module or a base")
        return RerankerSpec(base=parts[0].replace("--", "/"), ranking=parts[3], kind=parts[2])
    return RerankerSpec(base=name)


def _in_one_piece(folder: Path) -> bool:
    """Whether a folder is a model that scores by itself, not a base."""
    from polyrank.late_interaction.checkpoints import is_checkpoint
    from polyrank.rerankers.distilled_folder import RANKING

    if is_checkpoint(str(folder)) or (folder / RANKING / CARD_FILE).is_file():
        return True
    classifier = any(one.endswith("ForSequenceClassification") for one in _architectures(folder))
    return classifier or _is_language_model(folder)


def _is_language_model(model: str | Path) -> bool:
    """Whether a folder holds a model that writes, or such a model with its scoring tokens."""
    from polyrank.rerankers.llm.card import has_card
    from polyrank.rerankers.llm.logit_score import is_logit_score

    folder = Path(model).expanduser()
    writers = ("ForCausalLM", "ForConditionalGeneration")
    trained = is_logit_score(folder) or has_card(folder)
    return trained or any(one.endswith(writers) for one in _architectures(folder))


def _architectures(folder: Path) -> list[str]:
    """The classes that a folder's config names; none where it has none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    named = config.get("architectures") if isinstance(config, dict) else None
    return [str(one) for one in named or ()]


def _typed(spec: RerankerSpec) -> RerankerSpec:
    """The spec with the family that it means; a base that is loaded to find out stays loaded."""
    from polyrank.late_interaction.checkpoints import is_checkpoint
    from polyrank.rerankers.llm.card import has_card
    from polyrank.rerankers.llm.logit_score import is_logit_score

    if spec.type is not None:
        return spec
    if spec.composition is not None:
        return replace(spec, type="composition")
    if spec.model is None:
        return _of_modules(spec)
    if "scorer" in spec.options or is_logit_score(spec.model) or has_card(spec.model):
        return replace(spec, type="llm")
    if _is_language_model(spec.model):
        raise UsageError(
            f"'{spec.model}' is a language model; say how it scores, such as --scorer label (in "
            "Python options={'scorer': 'label'})"
        )
    return replace(spec, type="late-interaction" if is_checkpoint(spec.model) else "cross-encoder")


def _of_modules(spec: RerankerSpec) -> RerankerSpec:
    """Late interaction where the ranking module scores by MaxSim, multi-view where it has views,
    what its file of interaction says where it has one, else a cross-encoder. A missing module is
    reported by the reranker."""
    from polyrank.base import base_name, load_base
    from polyrank.late_interaction.checkpoints import is_checkpoint
    from polyrank.modules.interaction import has_interaction, load_interaction
    from polyrank.modules.multi_view import is_multi_view
    from polyrank.modules.projection import is_late_interaction
    from polyrank.zoo.find import find

    base = spec.base or DEFAULT_BASE
    if spec.ranking is None:
        loaded = load_base(base) if isinstance(base, str) else base
        family = "late-interaction" if loaded.card.vectors else "modular"
        return replace(spec, base=loaded, type=family)
    if spec.ranking == NO_RANKING or is_checkpoint(spec.ranking):
        return replace(spec, type="late-interaction")
    name, family = base_name(base) if isinstance(base, str) else base.name, "modular"
    with suppress(ModuleError):
        folder = find(name, "ranking", spec.of_ranking, spec.ranking, spec.zoo)
        family = "late-interaction" if is_late_interaction(folder) else family
        family = "multi-view" if is_multi_view(folder) else family
        family = load_interaction(folder).architecture if has_interaction(folder) else family
    return replace(spec, type=family)
