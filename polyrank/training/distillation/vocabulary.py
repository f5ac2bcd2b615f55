"""A base cut to the vocabulary of two languages."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.base import Base
from polyrank.modules.mask.sparse import Differences, SparseDifference
from polyrank.training.distillation.pair_tokenizer import always_kept, trim_tokenizer, with_needed
from polyrank.training.distillation.recipe import LEAST, check_probability

WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Coverage:
    """What a trimmed vocabulary does to text that it was not made from.

    Attributes:
        tokens: that the full tokenizer cuts the text into.
        kept: share of them whose entry is kept.
        same: share of the lines that are cut exactly as before.
        unknown, unknown_before: share of the tokens that are unknown, now and in the full one.
        longer: tokens now over tokens before.
    """

    tokens: int
    kept: float
    same: float
    unknown: float
    unknown_before: float
    longer: float


def token_counts(lines: Sequence[str], tokenizer: Any) -> Tensor:
    """How often each entry occurs in lines, without special tokens: (vocabulary,) int64."""
    counts = torch.zeros(len(tokenizer), dtype=torch.int64)
    for start in range(0, len(lines), 1000):
        for ids in _ids(lines[start : start + 1000], tokenizer):
            counts += torch.bincount(torch.tensor(ids, dtype=torch.int64), minlength=len(counts))
    return counts


def _ids(lines: Sequence[str], tokenizer: Any) -> list[list[int]]:
    encoded = tokenizer(list(lines), add_special_tokens=False, verbose=False)
    found: list[list[int]] = encoded["input_ids"]
    return found


def kept_entries(counts: Sequence[Tensor], base: Base, least: float = LEAST) -> list[int]:
    """Ids of the entries that a pair of languages needs, in increasing order.

    An entry stays when its unigram probability reaches `least` in any of the languages (Ansell et
    al. 2023, §3.1), and with it what `always_kept` and `with_needed` name: specials, bytes, single
    characters, parts of merges.

    Args:
        counts: of each language, from `token_counts`.
        base: whose tokenizer they are of.

    Raises:
        UsageError: a probability that is none.
    """
    check_probability(least)
    wanted: set[int] = always_kept(base.tokenizer)
    if base.model.config.model_type in _POSITIONS_AFTER_PAD:  # the padding's id must stay
        wanted |= set(range(base.tokenizer.pad_token_id + 1))
    for count in counts:
        probable = count.double() / max(1, int(count.sum())) >= max(least, 1e-300)
        wanted |= set(probable.nonzero().squeeze(1).tolist())
    return with_needed(base.tokenizer, wanted)


# Encoders that count positions from the id of the padding token.
_POSITIONS_AFTER_PAD = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "xmod")


def trim(base: Base, kept: Sequence[int]) -> Base:
    """The base with these entries only: rows of its embeddings, and its tokenizer.

    Its name and fingerprint stay those of the full base, so that adapters made for that one go with
    it. Masks change embeddings, which have fewer rows here: see `trim_differences`.

    Args:
        base: left as it is.
        kept: from `kept_entries`.
    """
    tokenizer = trim_tokenizer(base.tokenizer, kept)
    return replace(base, model=trim_encoder(base.model, kept, tokenizer), tokenizer=tokenizer)


def trim_encoder(encoder: Any, kept: Sequence[int], tokenizer: Any) -> Any:
    """A copy of an encoder with the embeddings of `kept` only."""
    trimmed = copy.deepcopy(encoder)
    trimmed.set_input_embeddings(trimmed_embeddings(encoder, kept, tokenizer.pad_token_id))
    trimmed.config.vocab_size = len(kept)
    for name in ("pad", "bos", "eos"):
        if getattr(trimmed.config, f"{name}_token_id", None) is not None:
            setattr(trimmed.config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    return trimmed.eval()


def trimmed_embeddings(encoder: Any, kept: Sequence[int], pad: int) -> nn.Embedding:
    """The rows `kept` of an encoder's word embeddings, of which row `pad` is the padding's."""
    whole = encoder.get_input_embeddings()
    rows = whole.weight.detach()[torch.tensor(kept, device=whole.weight.device)].clone()
    return nn.Embedding.from_pretrained(
        rows, freeze=False, padding_idx=None if whole.padding_idx is None else pad
    )


def trim_differences(differences: Differences, kept: Sequence[int]) -> dict[str, SparseDifference]:
    """A mask for the trimmed base: of the word embeddings the rows that are kept."""
    result = dict(differences)
    if (whole := result.get(WORD_EMBEDDINGS)) is not None:
        entries, width = whole.shape
        new = torch.full((entries,), -1, dtype=torch.int64)
        new[torch.tensor(kept)] = torch.arange(len(kept))
        row, column = new[whole.indices // width], whole.indices % width
        there = row >= 0
        result[WORD_EMBEDDINGS] = SparseDifference(
            (len(kept), width), row[there] * width + column[there], whole.values[there]
        )
    return result


@dataclass(frozen=True, eq=False)
class Trimmed:
    """A base cut to the vocabulary of some texts.

    Attributes:
        base: with the entries that are kept.
        kept: their ids in the full vocabulary, increasing.
        coverage: language → what that does to held-out text.
    """

    base: Base
    kept: list[int]
    coverage: Mapping[str, Coverage]


def trimmed_to(
    base: Base, seen: Mapping[str, list[str]], held: Mapping[str, list[str]], least: float = LEAST
) -> Trimmed:
    """The base with what the seen lines of each language need, measured on the held-out ones."""
    counts = [token_counts(lines, base.tokenizer) for lines in seen.values()]
    kept = kept_entries(counts, base, least)
    trimmed = trim(base, kept)
    covered = {
        language: coverage(lines, base.tokenizer, trimmed.tokenizer, kept)
        for language, lines in held.items()
    }
    return Trimmed(trimmed, kept, covered)


def coverage(lines: Sequence[str], full: Any, trimmed: Any, kept: Sequence[int]) -> Coverage:
    """What is left of lines that the vocabulary was not chosen by.

    Args:
        full, trimmed: the tokenizers.
        kept: ids of the full one.
    """
    stays = torch.zeros(len(full), dtype=torch.bool)
    stays[torch.tensor(kept)] = True
    before, after = _ids(lines, full), _ids(lines, trimmed)
    old = torch.tensor(kept)
    same = sum(old[torch.tensor(now, dtype=torch.int64)].tolist() == then
               for then, now in zip(before, after, strict=True))  # fmt: skip
    flat = torch.tensor([i for row in before for i in row], dtype=torch.int64)
    new = torch.tensor([i for row in after for i in row], dtype=torch.int64)
    return Coverage(
        tokens=len(flat),
        kept=_share(stays[flat]),
        same=round(same / max(1, len(lines)), 4),
        unknown=_share(new == trimmed.unk_token_id),
        unknown_before=_share(flat == full.unk_token_id),
        longer=round(len(new) / max(1, len(flat)), 4),
    )


def _share(flags: Tensor) -> float:
    return round(float(flags.double().mean()), 6) if len(flags) else 0.0


def in_words(languages: Mapping[str, Coverage]) -> list[str]:
    """A line for each language."""
    return [
        f"{language}: {c.kept:.2%} of held-out tokens kept, {c.same:.1%} of lines cut as before, "
        f"unknown {c.unknown:.3%} (before {c.unknown_before:.3%})"
        for language, c in languages.items()
    ]
