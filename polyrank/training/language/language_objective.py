"""What a language module is trained for: a sum of losses on plain text and on sentence pairs.

The alignment losses take the frozen base's English as their target; see `alignment_loss`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from polyrank.errors import UsageError
from polyrank.training.language.alignment_loss import (
    sentence_contrast,
    sentence_distance,
    token_contrast,
)
from polyrank.training.losses.sums import Aliases, Parameter, Parameters, number, read_sum, typed

TEXT, PAIRS = "text", "pairs"  # what there is to learn from
PAIR = "pair"  # the part of a batch that holds both sides of a pair; TEXT holds plain text


@dataclass(frozen=True)
class Named:
    """A loss that has a name.

    Attributes:
        needs: 'text' or 'pairs'.
        hides_in: the part of a batch whose tokens it hides, which needs a masked-language head;
            None for a loss that compares sentences with the frozen base's English.
        compare: of such a loss, the function of an `Aligned` batch and the parameters.
        parameters: numbers that it takes, by name.
        english_tokens: whether it compares with every token of the English.
    """

    needs: str
    summary: str
    source: str
    hides_in: str | None = None
    compare: Callable[..., Tensor] | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    english_tokens: bool = False

    @property
    def masked(self) -> bool:
        """Whether it hides tokens."""
        return self.hides_in is not None


# A row a loss, in the order in which they are listed.
LOSSES: dict[str, Named] = {
    "masked": Named(TEXT, "masked language modelling", "Devlin et al. 2019, 1810.04805", TEXT),
    "translation": Named(
        PAIRS,
        "masked language modelling over both sides of a pair",
        "TLM: Conneau & Lample 2019, 1901.07291",
        PAIR,
    ),
    "distance": Named(
        PAIRS,
        "squared distance of a sentence to the frozen base's English",
        "Reimers & Gurevych 2020, 2004.09813",
        compare=lambda b: sentence_distance(b.pooled, b.target),
    ),
    "contrast": Named(
        PAIRS,
        "cross-entropy of a sentence's own English among the batch's",
        "van den Oord et al. 2018, 1807.03748",
        compare=lambda b, temperature: sentence_contrast(b.pooled, b.target, temperature),
        parameters={"temperature": Parameter(0.05)},
    ),
    "tokens": Named(
        PAIRS,
        "the same over MaxSim of token vectors",
        "ColBERT: Khattab & Zaharia 2020, 2004.12832",
        compare=lambda b, temperature: token_contrast(
            b.tokens, b.own, b.english, b.english_own, temperature
        ),
        parameters={"temperature": Parameter(0.02)},
        english_tokens=True,
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

    @property
    def english_tokens(self) -> bool:
        """Whether a term compares with every token of the English."""
        return any(term.named.english_tokens for term in self.terms)

    def hides(self, part: str) -> bool:
        """Whether a term hides tokens in that part of a batch."""
        return any(term.named.hides_in == part for term in self.terms)

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
    sum_of = "+".join(typed(name, weight, (), {}) for name, weight in ALIASES["align"])
    return "\n".join([*lines, f"align\tpairs\t{sum_of}\tboth together"])
