"""The table of module kinds. To add one, write its folder beside these and its row here.

Nothing outside this file and the folders of the kinds asks which kind something is: it asks the
row, such as `KINDS[card.kind].acts`. Light: no torch until something is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.errors import UsageError
from polyrank.modules.kind import Kind

ADAPTER = Kind(
    name="adapter",
    plural="adapters",
    acts="tokens",
    weights="adapter.safetensors",
    reader="polyrank.modules.adapter.adapter_folder:loaded",
    writer="polyrank.modules.adapter.adapter_folder:save_adapter_module",
    training="polyrank.training.kinds.adapter:ADAPTER",
    rates={"language": 1e-3, "ranking": 5e-4},
    refused={
        "both": "adapters cannot be routed 'both': two bottlenecks in one place do not add up.\n"
        "Use routing='split', or masks (kind='mask')."
    },
    routing="split",
    exporter="polyrank.zoo.imports.adapterhub:export",
    library="adapters",
    hub_tags=("adapter-transformers",),
)

MASK = Kind(
    name="mask",
    plural="masks",
    acts="weights",
    weights="mask.safetensors",
    reader="polyrank.modules.mask.mask_folder:loaded",
    writer="polyrank.modules.mask.mask_folder:save_mask_module",
    training="polyrank.training.kinds.mask:MASK",
    rates={"language": 5e-4, "ranking": 1e-4},
    refused={
        "split": "masks cannot be routed 'split': all tokens share the weights a mask changes.\n"
        "Use routing='query', 'document' or 'both', or adapters (kind='adapter')."
    },
    routing="document",
    exporter="polyrank.zoo.imports.masks:export",
)

_ALONE = "a fully fine-tuned ranking model takes no language modules.\nUse routing='none'."

FULL = Kind(
    name="full",
    plural="fully fine-tuned models",
    acts="model",
    weights="model.safetensors",
    reader="polyrank.modules.full.full_folder:loaded",
    writer="polyrank.modules.full.full_folder:save_full_module",
    training="polyrank.training.kinds.full:FULL",
    rates={"ranking": 1e-4},
    refused=dict.fromkeys(("query", "document", "split", "both"), _ALONE),
    beneath="adapter",
    late_option="--recipe colbert-xm",
)

DEFAULT_KIND = ADAPTER.name
NO_RANKING = "none"  # in place of a ranking module's name: the base's own vectors as they are
KINDS: dict[str, Kind] = {kind.name: kind for kind in (ADAPTER, MASK, FULL)}


def kind_named(name: str) -> Kind:
    """The row of a kind.

    Raises:
        UsageError: there is no such kind.
    """
    if name not in KINDS:
        raise UsageError(f"Unknown kind '{name}'. Use {listed(list(KINDS))}.")
    return KINDS[name]


def language_kinds() -> tuple[str, ...]:
    """The kinds that a language module can have."""
    return tuple(name for name, kind in KINDS.items() if "language" in kind.roles)


def language_kind_named(name: str) -> Kind:
    """The row of a kind that language modules can have.

    Raises:
        UsageError: it is not one.
    """
    if name not in language_kinds():
        raise UsageError(
            f"language modules are of the kinds {', '.join(language_kinds())}, not '{name}'"
        )
    return KINDS[name]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: 'adapter, mask or full'."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
