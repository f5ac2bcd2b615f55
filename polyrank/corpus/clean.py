"""Write the lines of a text file that break no rule; count, and keep if asked, those that do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from polyrank.base import DEFAULT_BASE
from polyrank.collections.files import check_writable, refuse_over, writing
from polyrank.corpus.foreign import foreigners
from polyrank.corpus.measuring import LineBlock, bounds_of, measured_blocks
from polyrank.corpus.piece_counter import PieceCounter
from polyrank.corpus.rules import Fault, Measured, Rules, Thresholds, check_skip
from polyrank.corpus.sources import TextSource, as_source
from polyrank.errors import UsageError


@dataclass
class Cleaned:
    """What became of a file's lines: kept + blank + all that were removed = lines.

    Attributes:
        language: a normalised tag.
        file, output: as they were given.
        shortest, longest: characters that a line may have, by the quartiles of lengths or as given.
        lines: of the file.
        blank: those without text; they are not written.
        kept: those written.
        removed: rule → lines removed by it; each line by the first rule that it breaks.
    """

    language: str
    file: str
    output: str
    shortest: float
    longest: float
    lines: int = 0
    blank: int = 0
    kept: int = 0
    removed: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        plain = ("language", "file", "output", "lines", "blank", "kept")
        return {
            **{name: getattr(self, name) for name in plain},
            "removed": dict(self.removed),
            "length_bounds": [self.shortest, self.longest if self.longest < 1e300 else None],
        }


def clean_corpus(
    file: str | Path,
    output: str | Path,
    base: str = DEFAULT_BASE,
    thresholds: Thresholds | None = None,
    skip: Sequence[str] = (),
    rejected: str | Path | None = None,
    progress: bool = True,
) -> Cleaned:
    """Write a text file without its faulty lines, in its order, blanks at the ends of lines taken.

    The rules are asked in the order of `polyrank.corpus.rules.RULES`; near-duplicates last, so that
    a line is compared only with lines that are kept. The same file and thresholds give the same
    bytes. What is written takes its place only when it is complete.

    Args:
        file: `ky.txt`, or `ky=news.txt` where the name does not say the language; gzipped or not.
        output: the file to write, gzipped if its name ends in .gz.
        base: whose tokenizer says which pieces are unknown; not read if that rule is skipped.
        thresholds: from where on a line is faulty.
        skip: rules that are not asked, such as 'language'.
        rejected: also write what is removed: line number, rule, reason and text with tabs between.

    Raises:
        DataError: a file that cannot be read as plain text, with its line.
        LanguageError: a file whose language is not said.
        ModuleError: a base whose tokenizer cannot be read.
        UsageError: an output that cannot be written, or that is read.
    """
    limits, skip, source = thresholds or Thresholds(), check_skip(skip), as_source(file)
    _check_outputs(source, output, rejected)
    bounds = bounds_of(source, limits, skip)
    rules = Rules(limits, bounds, skip)
    cleaned = Cleaned(source.language, str(source.path), str(output), *bounds)
    cleaned.removed.update(dict.fromkeys(rules.names, 0))
    pieces = None if "unknown" in skip else PieceCounter(base)
    foreign = None if "language" in skip else foreigners(source.language)
    with (
        writing(output) as kept,
        writing(rejected) if rejected is not None else nullcontext() as removed,
    ):
        for block in measured_blocks(source, pieces, foreign, progress):
            for line, fault in _judged(block, rules):
                if fault is None:
                    kept.write(line.text + "\n")
                    cleaned.kept += 1
                    continue
                cleaned.removed[fault.rule] += 1
                if removed is not None:
                    removed.write(f"{line.number}\t{fault.rule}\t{fault.reason}\t{line.text}\n")
            cleaned.blank += len(block.blank)
            cleaned.lines += len(block.blank) + len(block.lines)
    return cleaned


def _judged(block: LineBlock, rules: Rules) -> Iterator[tuple[Measured, Fault | None]]:
    """Each line with the first rule that it breaks, None where it breaks none."""
    faults = [next(rules.faults(line), None) for line in block.lines]
    others = [line for line, fault in zip(block.lines, faults, strict=True) if fault is None]
    near = iter(rules.near_duplicates(others))
    for line, fault in zip(block.lines, faults, strict=True):
        yield line, next(near) if fault is None else fault


def _check_outputs(source: TextSource, output: str | Path, rejected: str | Path | None) -> None:
    check_writable(output)
    refuse_over(output, source.path)
    if rejected is None:
        return
    check_writable(rejected)
    refuse_over(rejected, source.path)
    if str(output) != "-" and Path(output).resolve() == Path(rejected).resolve():
        raise UsageError(f"{output} is given for the kept and for the removed lines; use two files")
