"""What a language module is trained for: a sum of losses on plain text and on sentence pairs.

The alignment losses take the frozen base's English as their target; see `alignment_loss`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from polyrank.errors import UsageError
from polyrank.training.losses.sums import Aliases, Parameter, Parameters, number, read_sum, typed

TEXT, PAIRS = "text", "pairs"


@dataclass(frozen=True)
class Named:
    """A loss that has a name.

    Attributes:
        needs: 'text' or 'pairs'.
        masked: whether it hides tokens, which needs a masked-language head.
    """

    needs: str
    summary: str
    source: str
    masked: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


LOSSES: dict[str, Named] = {
    "masked": Named(TEXT, "masked language modelling", "Devlin et al. 2019, 1810.04805", True),
    "translation": Named(
        PAIRS,
        "masked language modelling over both sides of a pair",
        "TLM: Conneau & Lample 2019, 1901.07291",
        True,
    ),
    "distance": Named(
        PAIRS,
        "squared distance of a sentence to the frozen base's English",
        "Reimers & Gurevych 2020, 2004.09813",
    ),
    "contrast": Named(
        PAIRS,
        "cross-entropy of a sentence's own English among the batch's",
        "van den Oord et al. 2018, 1807.03748",
        parameters={"temperature": Parameter(0.05)},
    ),
    "tokens": Named(
        PAIRS,
        "the same over MaxSim of token vectors",
        "ColBERT: Khattab & Zaharia 2020, 2004.12832",
        parameters={"temperature": Parameter(0.02)},
    ),
}

ALIASES: Aliases = {
    "align": (("distance", 1.0), ("contrast", 0.3)),
    "mlm": (("masked", 1.0),),
    "tlm": (("translation", 1.0),),
}

DEFAULTS = {  # (text?, pairs?) → what is trained for
    (True, False): "masked",
    (False, True): "align",
    (True, True): "align+0.1*masked",
}


@dataclass(frozen=True)
class Term:
    """One loss of a sum."""

    loss: str
    weight: float
    given: Parameters = ()

    @property
    def named(self) -> Named:
        return LOSSES[self.loss]

    @property
    def parameters(self) -> dict[str, float]:
        """With the defaults of those that were not given."""
        defaults = {name: one.default for name, one in self.named.parameters.items()}
        return {**defaults, **dict(self.given)}


@dataclass(frozen=True)
class Objective:
    """A weighted sum; `str` gives the text that `parse_objective` reads back."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return "+".join(typed(t.loss, t.weight, t.given, t.named.parameters) for t in self.terms)

    def __contains__(self, loss: str) -> bool:
        return any(term.loss == loss for term in self.terms)

    @property
    def masked(self) -> bool:
        """Whether a term needs a masked-language head."""
        return any(term.named.masked for term in self.terms)

    @property
    def aligned(self) -> bool:
        """Whether a term compares sentences with the frozen base's English."""
        return any(term.named.needs == PAIRS and not term.named.masked for term in self.terms)

    def reads(self, what: str) -> bool:
        """Whether a term learns from 'text' or 'pairs'."""
        return any(term.named.needs == what for term in self.terms)


def parse_objective(loss: str | None, text: bool, pairs: bool) -> Objective:
    """The objective as typed, or the default for what there is to learn from.

    >>> str(parse_objective("align+0.1*mlm", text=True, pairs=True))
    'distance+0.3*contrast+0.1*masked'

    Args:
        loss: such as 'distance+0.3*contrast+0.1*masked'; None for the default.
        text, pairs: whether there are some.

    Raises:
        UsageError: a sum that cannot be read, names a loss twice, or does not fit what there is.
    """
    if not text and not pairs:
        raise UsageError("there is nothing to learn from; give --text, --parallel or both")
    known = {name: named.parameters for name, named in LOSSES.items()}
    example = "align+0.1*mlm or distance+0.3*contrast(temperature=0.05)"
    read = read_sum(loss or DEFAULTS[text, pairs], known, ALIASES, example)
    names = [name for name, *_ in read]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"the loss '{loss}' names '{min(twice)}' twice; give it one weight")
    objective = Objective(tuple(Term(*term) for term in read))
    given = {TEXT: ("--text", text), PAIRS: ("--parallel", pairs)}
    for what, (option, there) in given.items():
        if objective.reads(what) and not there:
            raise UsageError(f"the loss '{objective}' learns from {what}; give {option} FILE")
    for what, (option, there) in given.items():
        if there and not objective.reads(what):
            raise UsageError(f"the loss '{objective}' does not read {option}; leave it out")
    return objective


def catalogue() -> str:
    """All names, a line each: parameters with defaults, what it needs, what it is, its source."""
    lines = []
    for name, named in LOSSES.items():
        told = ", ".join(f"{k}={number(p.default)}" for k, p in named.parameters.items())
        first = f"{name}({told})" if told else name
        lines.append("\t".join((first, named.needs, named.summary, named.source)))
    return "\n".join([*lines, "align\tpairs\tdistance+0.3*contrast\tboth together"])
