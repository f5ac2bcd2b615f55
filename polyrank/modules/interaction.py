"""What makes an encoder of single texts a ranking module, where texts meet by other than MaxSim.

Two architectures of Margin-MSE's students (Hofstätter et al. 2020, arXiv 2010.02666):

    dot-product      a vector a text, pooled and not normalised; q · d
    kernel-pooling   vectors of tokens, counted by their similarity: see `kernel_pooling`

Beside the weights of such a module lies `interaction.json`: which of the two, and how texts are
read. `TokenRules` are those of late interaction, without markers or projection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from polyrank.errors import ModuleError
from polyrank.modules.projection import TokenRules, rules_of
from polyrank.modules.tensor_files import read_json

FILE = "interaction.json"
FORMAT = 1
DOT_PRODUCT, KERNEL_POOLING = "dot-product", "kernel-pooling"
INTERACTIONS = (DOT_PRODUCT, KERNEL_POOLING)


@dataclass(frozen=True)
class Interaction:
    """How the texts of a module are read, and how they meet.

    Attributes:
        architecture: one of `INTERACTIONS`.
        rules: of reading a text.
        pooling: of a text's vector in a dot product: a name of `polyrank.base.pooling.POOLINGS`.
    """

    architecture: str
    rules: TokenRules
    pooling: str = "mean"


def has_interaction(folder: str | Path) -> bool:
    """Whether a module's folder says how texts meet."""
    return (Path(folder) / FILE).is_file()


def refuse_interaction(folder: str | Path) -> None:
    """Raise ModuleError for a module that reads single texts, where another kind is asked for."""
    if has_interaction(folder):
        raise ModuleError(
            f"the ranking module in '{folder}' compares texts that are read one by one, by its "
            f"{FILE}: it has no head that scores pairs, and no MaxSim.\n"
            "Use it with pr.load_reranker, or with polyrank rerank --ranking and the folder."
        )


def save_interaction(interaction: Interaction, folder: Path) -> None:
    """Write the file into a module's folder, before its card."""
    record = {
        "format_version": FORMAT,
        "architecture": interaction.architecture,
        "pooling": interaction.pooling,
        "rules": interaction.rules.record(),
    }
    (folder / FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_interaction(folder: str | Path, architecture: str | None = None) -> Interaction:
    """Read how a module's texts meet.

    Args:
        architecture: that it must be of; None for any.

    Raises:
        ModuleError: a module of another architecture, or a file that is broken.
    """
    path = Path(folder) / FILE
    found = _read(path) if path.is_file() else None
    if found is None or architecture not in (None, found.architecture):
        wanted = architecture or "of single texts"
        raise ModuleError(
            f"the ranking module in '{folder}' is not {wanted}.\nUse it with pr.load_reranker, or "
            f"train one with:  polyrank train ranking --architecture {architecture or DOT_PRODUCT}"
        )
    return found


def _read(path: Path) -> Interaction:
    from polyrank.base.pooling import POOLINGS

    record = read_json(path)
    version = record.get("format_version")
    if version != FORMAT or record.get("architecture") not in INTERACTIONS:
        raise ModuleError(
            f"{path} has format version {version!r} and the architecture "
            f"{record.get('architecture')!r}; this polyrank reads version {FORMAT} of "
            f"{' and '.join(INTERACTIONS)}.\nUpgrade polyrank."
        )
    try:
        rules, pooling = rules_of(record["rules"], FILE), record["pooling"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ModuleError(f"{path} is broken ({error!r}).\nTrain the module again.") from error
    if not isinstance(pooling, str) or pooling not in POOLINGS:
        raise ModuleError(f"{path} has the unknown pooling {pooling!r}.\nTrain the module again.")
    return Interaction(record["architecture"], rules, pooling)
