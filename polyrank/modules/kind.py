"""What a kind of module is: one row of the table `polyrank.modules.kinds.KINDS`.

Light: a row names its implementation by a dotted path, which is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from polyrank.modules.adapter.tensors import AdapterModule, Head
    from polyrank.modules.mask.sparse import Differences

Acts = Literal["tokens", "weights", "model"]
Implementation = str | Callable[..., Any]  # "package.module:name", or the thing itself

# Late interaction encodes every text as a sequence of its own, so these do not depend on the kind.
LATE_ROUTINGS = ("split", "document", "query", "none")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A module read from its folder, as an encoder takes it.

    Of the last three there is the one that its kind acts by.

    Attributes:
        head: of a ranking module of a cross-encoder, in fp32; None for others.
        adapter: acts on tokens: layers that each token passes through.
        differences: acts on weights: what is added to the encoder's, by the tensor's name.
        encoder: acts as the model: an encoder in fp32, run in place of the base's.
    """

    head: Head | None = None
    adapter: AdapterModule | None = None
    differences: Differences | None = None
    encoder: Any = None


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of module, and where to find what can be done with it.

    Attributes:
        name: as in cards, folders and options.
        plural: in messages, such as 'adapters'.
        acts: on 'tokens' (each token passes through the module of its own language), on 'weights'
            (all tokens of a batch share them), or as the 'model' in the base's place.
        weights: name of its file of weights. Its sha256 says which language module lay beneath a
            ranking module (`parent_hash`).
        reader: `reader(folder) -> Loaded`, the folder verified against its card.
        writer: writes a module folder and returns its card; its other arguments are what the kind's
            training has in hand.
        training: how it is trained; see `polyrank.training`.
        rates: role → default learning rate. Its keys are the roles that the kind can play.
        refused: routing of a cross-encoder → why the kind cannot be routed so, and what can.
        routing: of cross-encoders by default.
        late_routing: of late interaction by default, where the ranking module was trained over a
            language module.
        late_routings: those that late interaction allows.
        beneath: the kind of the language modules that usually lie under a ranking module of this
            kind; its own by default.
        exporter: `exporter(folder, output, base)` writes it for the project that it comes from, in
            an existing folder; None for a kind that other libraries read as it is.
        library: that reads its folder, as a model card of the Hub names it.
        hub_tags: of such a card, besides its own.
        late_option: of `polyrank train late-interaction`, to train this kind.
    """

    name: str
    plural: str
    acts: Acts
    weights: str
    reader: Implementation
    writer: Implementation
    training: Implementation
    rates: Mapping[str, float]
    refused: Mapping[str, str] = field(default_factory=dict)
    routing: str = "none"
    late_routing: str = "split"
    late_routings: tuple[str, ...] = LATE_ROUTINGS
    beneath: str = ""
    exporter: Implementation | None = None
    library: str = "polyrank"
    hub_tags: tuple[str, ...] = ()
    late_option: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "beneath", self.beneath or self.name)
        object.__setattr__(self, "late_option", self.late_option or f"--kind {self.name}")

    @property
    def roles(self) -> tuple[str, ...]:
        """What it can be: 'language', 'ranking', or both."""
        return tuple(self.rates)

    def load(self, folder: str | Path) -> Loaded:
        """Read and verify a module of this kind.

        Raises:
            ModuleError: a folder that is missing, altered, broken, or of another kind.
        """
        loaded: Loaded = resolved(self.reader)(folder)
        return loaded

    def save(self, *arguments: Any, **options: Any) -> Any:
        """Write a module folder; see `writer`."""
        return resolved(self.writer)(*arguments, **options)

    def parent_hash(self, files: Mapping[str, str]) -> str:
        """What a ranking module's card says of the language module beneath it, of this kind.

        Args:
            files: name → sha256, of the language module's card.
        """
        return files[self.weights]


def resolved(implementation: Implementation) -> Any:
    """What a dotted path "package.module:name" stands for; anything else is returned as it is."""
    if not isinstance(implementation, str):
        return implementation
    module, _, name = implementation.partition(":")
    return getattr(import_module(module), name)
