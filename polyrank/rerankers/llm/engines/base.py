"""The interface of every engine: prompts as token ids in, logits of given tokens or text out.

    logits(prompts, tokens)      how much the model wants each token right after each prompt
    generate(prompts, ...)       what it says, with the log-probability of each token

Prompts are token ids, not text: what is cut and what is a control token is decided once, in
`polyrank.rerankers.llm.rendering`, and is the same in the process and behind a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Protocol

from polyrank.notes import Notebook

PromptIds = Sequence[int]


@dataclass(frozen=True)
class Usage:
    """What an engine did.

    calls: prompts answered. prompt_tokens: in all of them. cached_tokens: of those, the ones that
    were not computed again, as they begin several prompts. generated_tokens: said by the model.
    seconds: spent waiting for it.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(*(a - b for a, b in zip(astuple(self), astuple(earlier), strict=True)))


@dataclass(frozen=True)
class Token:
    """A token by its id, and the text that it adds to an answer."""

    text: str
    id: int


@dataclass(frozen=True)
class Generation:
    """An answer.

    text: without control tokens.
    pieces: the part of the text that each token adds.
    logprobs: of each token, by natural logarithm, under temperature 1.
    cut: whether the limit of tokens ended it.
    """

    text: str
    pieces: tuple[str, ...]
    logprobs: tuple[float, ...]
    cut: bool = False


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn: temperature 0 takes the likeliest token, the default everywhere."""

    max_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0


class Engine(Protocol):
    """What runs a language model.

    Attributes:
        tokenizer: of the model, a fast one.
        context: tokens of a prompt and its answer together.
        usage: what was done so far.
        notebook: notes on how it went, such as batches made smaller.
        encoder_decoder: whether answers start in a decoder of their own.
        log_probabilities: whether `logits` are log-probabilities: then only differences between
            the tokens of one prompt say what logits say.
    """

    tokenizer: Any
    context: int
    usage: Usage
    notebook: Notebook
    encoder_decoder: bool
    log_probabilities: bool

    def logits(self, prompts: Sequence[PromptIds], tokens: Sequence[Token]) -> list[list[float]]:
        """For each prompt, a number for each of the tokens, as the next one after the prompt."""
        ...

    def generate(self, prompts: Sequence[PromptIds], sampling: Sampling) -> list[Generation]:
        """An answer to each prompt."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Of what the answers depend on."""
        ...

    def size(self) -> tuple[int, int] | None:
        """Parameters and bytes of the weights; None where they are elsewhere."""
        ...


def pieces_of(tokenizer: Any, token_ids: Sequence[int]) -> tuple[str, ...]:
    """The text that each token adds to those before it.

    A token that begins a character of several bytes adds nothing; the one that completes it adds
    the character.
    """
    pieces, said = [], ""
    for end in range(1, len(token_ids) + 1):
        text = tokenizer.decode(
            token_ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        ).rstrip("\ufffd")
        pieces.append(text[len(said) :])
        said = max(said, text, key=len)
    return tuple(pieces)
