"""What is in text files of languages, before a module is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polyrank.base import DEFAULT_BASE
from polyrank.corpus.foreign import foreigners, is_identified
from polyrank.corpus.lengths import quantile
from polyrank.corpus.measuring import LineBlock, bounds_of, measured_blocks
from polyrank.corpus.piece_counter import PieceCounter
from polyrank.corpus.rules import Rules, Thresholds, check_skip
from polyrank.corpus.sources import TextSource, as_sources
from polyrank.languages.tags import usual_script

# Scripts written without spaces between words, where words cannot be counted by them.
_UNSPACED = {"Hans", "Hant", "Jpan", "Thai", "Laoo", "Mymr", "Khmr", "Tibt"}


@dataclass
class CorpusReport:
    """What is in the text of a language; blank lines are counted and otherwise left out.

    Attributes:
        language: a normalised tag.
        file: as it was given.
        identified: whether the identifier is reliable there; if not, only scripts are compared.
        spaced: whether its script sets words apart.
        shortest, longest: characters that a line may have, by the quartiles of lengths or as given.
        blank: lines without text.
        lines: the others; all that follows is about them.
        characters, words, tokens, unknown: sums; words by spaces, tokens of the base without
            special ones, unknown those that it has no piece for.
        faults: rule → lines that break it; a line may break several, but an exact duplicate is
            no near-duplicate as well.
        foreign: language → lines that seem to be in it rather than in their own, however unsure.
        lengths: characters → lines.
    """

    language: str
    file: str
    identified: bool
    spaced: bool
    shortest: float
    longest: float
    blank: int = 0
    lines: int = 0
    characters: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)

    @property
    def tokens_per_word(self) -> float | None:
        """None where words are not set apart."""
        return self.tokens / self.words if self.spaced else None

    @property
    def tokens_per_character(self) -> float:
        return self.tokens / self.characters

    def share(self, rule: str) -> float | None:
        """The share of lines that break a rule; None where it was not asked."""
        return self.faults[rule] / self.lines if rule in self.faults else None

    def to_dict(self) -> dict[str, object]:
        """For JSON: sums, shares, and the quartiles of lengths instead of all lengths."""
        plain = ("language", "file", "identified", "blank", "lines", "characters", "words",
                 "tokens", "unknown")  # fmt: skip
        return {
            **{name: getattr(self, name) for name in plain},
            "words": self.words if self.spaced else None,
            "tokens_per_word": self.tokens_per_word,
            "tokens_per_character": self.tokens_per_character,
            "unknown_share": self.unknown / self.tokens if self.tokens else 0.0,
            "foreign_share": sum(self.foreign.values()) / self.lines,
            "foreign": dict(self.foreign.most_common()),
            "faults": dict(self.faults),
            "fault_shares": {rule: self.share(rule) for rule in self.faults},
            "length_quartiles": [quantile(self.lengths, q) for q in (0.25, 0.5, 0.75)],
            "length_bounds": [self.shortest, self.longest if self.longest < 1e300 else None],
        }


def corpus_report(
    files: str | Path | Iterable[str | Path],
    base: str = DEFAULT_BASE,
    thresholds: Thresholds | None = None,
    skip: Sequence[str] = (),
    progress: bool = True,
) -> list[CorpusReport]:
    """Count what is in text files of languages, and what `clean_corpus` would find faulty.

    The files are read twice and never held in memory; what is held are hashes of the lines, about
    3 KB each for near-duplicates and 150 bytes for duplicates.

    Args:
        files: `ky.txt`, or `ky=news.txt` where the name does not say the language; gzipped or not.
        base: whose tokenizer counts tokens; its weights are not read.
        thresholds: from where on a line is faulty.
        skip: rules that are not asked, such as 'near-duplicate'.

    Raises:
        DataError: a file that cannot be read as plain text, with its line.
        LanguageError: a file whose language is not said.
        ModuleError: a base whose tokenizer cannot be read.
    """
    limits = thresholds or Thresholds()
    skip = check_skip(skip)
    sources = as_sources(files)
    bounds = [bounds_of(source, limits, skip) for source in sources]
    pieces = PieceCounter(base)  # after all files were read once, so that faults show at once
    return [
        _report(source, Rules(limits, one, skip), pieces, progress)
        for source, one in zip(sources, bounds, strict=True)
    ]


def _report(source: TextSource, rules: Rules, pieces: PieceCounter, progress: bool) -> CorpusReport:
    spaced = usual_script(source.language) not in _UNSPACED
    identified = is_identified(source.language)
    report = CorpusReport(source.language, str(source.path), identified, spaced, *rules.bounds)
    report.faults.update(dict.fromkeys(rules.names, 0))
    foreign = foreigners(source.language) if "language" in rules.names else None
    for block in measured_blocks(source, pieces, foreign, progress):
        _add(block, rules, report)
    return report


def _add(block: LineBlock, rules: Rules, report: CorpusReport) -> None:
    report.blank += len(block.blank)
    report.lines += len(block.lines)
    different = []
    for line in block.lines:
        report.characters += len(line.text)
        report.words += len(line.text.split())
        report.tokens += line.tokens
        report.unknown += line.unknown
        report.lengths[len(line.text)] += 1
        if line.foreign is not None:
            report.foreign[line.foreign.language] += 1
        broken = [fault.rule for fault in rules.faults(line)]
        report.faults.update(broken)
        if "duplicate" not in broken:
            different.append(line)
    near = rules.near_duplicates(different)
    report.faults.update(fault.rule for fault in near if fault is not None)
