"""Mix the text of several languages at a temperature."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyrank.base import DEFAULT_BASE
from polyrank.collections.files import check_writable, refuse_over, writing
from polyrank.corpus.piece_counter import PieceCounter
from polyrank.corpus.sources import TextSource, as_sources, blocks, lines
from polyrank.corpus.temperature import apportion, draw, shares
from polyrank.errors import UsageError
from polyrank.progress import track


@dataclass(frozen=True)
class LanguageShare:
    """A language in a mixture.

    Attributes:
        language: a normalised tag.
        file: as it was given.
        lines: in the file, without blank ones.
        size: the same in the unit of the budget: lines, or tokens of the base.
        before: its share of all files' sizes.
        after: its share of the mixture's size.
        taken: its lines in the mixture, repetitions counted.
        taken_size: the same in the unit of the budget.
        repeated: how often a line of it stands in the mixture on average; above 1 text is repeated.
        most: how often the most frequent line stands in it.
    """

    language: str
    file: str
    lines: int
    size: int
    before: float
    after: float
    taken: int
    taken_size: int
    repeated: float
    most: int


@dataclass(frozen=True)
class Mixture:
    """What was mixed: `unit` is 'lines' or 'tokens', `budget` counts in it."""

    output: str
    alpha: float
    unit: str
    budget: int
    seed: int
    parts: tuple[LanguageShare, ...]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def mix_corpus(
    files: Iterable[str | Path],
    output: str | Path,
    alpha: float = 0.3,
    lines: int | None = None,
    tokens: int | None = None,
    seed: int = 13,
    base: str = DEFAULT_BASE,
    progress: bool = True,
) -> Mixture:
    """Write lines of several languages in random order of languages, p_l ∝ n_l^α.

    Within a language the lines keep the order of their file, so that a file of any size is read
    through and not held; a language whose part is larger than its text starts again. The same
    files, settings and seed give the same bytes.

    Args:
        files: a file a language: `ky.txt`, or `ky=news.txt`; gzipped or not.
        output: the file to write, gzipped if its name ends in .gz.
        alpha: 1 keeps the files' proportions, 0 gives each language the same.
        lines: how many lines to write, or
        tokens: how many tokens of the base; undercut by less than a line for each language.
        seed: of the choice of lines and the order of languages.
        base: whose tokenizer counts tokens.

    Raises:
        DataError: a file that cannot be read as plain text, with its line.
        LanguageError: a file whose language is not said.
        UsageError: no budget or two, an alpha out of range, a language twice, an output that
            cannot be written or that is read.
    """
    if (lines is None) == (tokens is None):
        raise UsageError("give a budget of lines or of tokens, not both")
    budget = lines if lines is not None else tokens
    if budget is None or budget < 1:
        raise UsageError(f"the budget is {budget}; give 1 or more")
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha is {alpha}; give 0 (equal shares) to 1 (shares as they are)")
    sources = _one_a_language(as_sources(files))
    check_writable(output)
    refuse_over(output, *(source.path for source in sources))
    pieces = PieceCounter(base) if tokens is not None else None
    sizes = [_sizes(source, pieces, progress) for source in sources]
    totals = [int(size.sum()) for size in sizes]
    quotas = apportion(budget, shares(totals, alpha))
    random = np.random.default_rng(seed)
    times = [draw(size, quota, random) for size, quota in zip(sizes, quotas, strict=True)]
    _write(output, sources, times, random, progress)
    unit = "tokens" if pieces else "lines"
    parts = _parts(sources, sizes, times)
    return Mixture(str(output), alpha, unit, budget, seed, parts)


def _one_a_language(sources: list[TextSource]) -> list[TextSource]:
    by_language: dict[str, TextSource] = {}
    for source in sources:
        other = by_language.setdefault(source.language, source)
        if other is not source:
            raise UsageError(
                f"{other.path} and {source.path} are both in {source.language}; join them, since "
                "a language's share depends on all of its text"
            )
    return sources


def _sizes(source: TextSource, pieces: PieceCounter | None, progress: bool) -> NDArray[np.int64]:
    """The size of each line that is not blank, (n,): 1, or its tokens."""
    counted = array("q")
    full = (line for line in lines(source.path) if line.text)
    for block in blocks(track(full, f"counting {source.path.name}", show=progress)):
        if pieces is None:
            counted.extend([1] * len(block))
        else:  # a line of no token is one, so that it can be counted
            counted.extend(max(one.tokens, 1) for one in pieces([line.text for line in block]))
    return np.frombuffer(counted, np.int64)


def _write(
    output: str | Path,
    sources: list[TextSource],
    times: list[NDArray[np.int64]],
    random: np.random.Generator,
    progress: bool,
) -> None:
    """The languages' lines, each next one from a language drawn by how much is left of it."""
    taken = [int(one.sum()) for one in times]
    order = np.repeat(np.arange(len(sources), dtype=np.uint16), taken)  # (lines of the mixture,)
    random.shuffle(order)
    texts = [_repeated(source.path, one) for source, one in zip(sources, times, strict=True)]
    with writing(output) as file:
        for language in track(order, "mixing", len(order), progress):
            file.write(next(texts[language]) + "\n")


def _repeated(path: Path, times: NDArray[np.int64]) -> Iterator[str]:
    """The lines of a file as often as `times` says, reading it through once for each repetition."""
    for earlier in range(int(times.max())):
        full = (line.text for line in lines(path) if line.text)
        for text, wanted in zip(full, times, strict=True):
            if wanted > earlier:
                yield text


def _parts(
    sources: list[TextSource], sizes: list[NDArray[np.int64]], times: list[NDArray[np.int64]]
) -> tuple[LanguageShare, ...]:
    before = [int(size.sum()) for size in sizes]
    after = [int((size * often).sum()) for size, often in zip(sizes, times, strict=True)]
    return tuple(
        LanguageShare(
            source.language,
            str(source.path),
            lines=len(size),
            size=old,
            before=old / sum(before),
            after=new / max(sum(after), 1),
            taken=int(often.sum()),
            taken_size=new,
            repeated=float(often.mean()),
            most=int(often.max()),
        )
        for source, size, often, old, new in zip(sources, sizes, times, before, after, strict=True)
    )
