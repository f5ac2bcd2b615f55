"""What a ranking module learns from, as pairs or as single texts: the architecture says which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Document
from polyrank.training.examples.negatives import Example

if TYPE_CHECKING:
    from polyrank.modules.projection import TokenRules
    from polyrank.training.late_interaction.token_batches import TokenBatches
    from polyrank.training.ranking.ranking_batches import Batches


@dataclass(frozen=True, eq=False)
class Taught:
    """Questions with a positive and negatives each, and how many make a batch.

    Attributes:
        queries, negatives: questions of a batch, negatives of each.
        length: tokens of a pair or of a text.
        prefixes: put before questions and before passages.
    """

    examples: Sequence[Example]
    passages: dict[str, Document]
    tokenizer: Any
    queries: int
    negatives: int
    length: int
    seed: int
    prefixes: tuple[str, str] = ("", "")

    def pairs(self) -> Batches:
        """Question and passage in one sequence."""
        from polyrank.training.ranking.ranking_batches import Batches

        return Batches(
            self.examples, self.passages, self.tokenizer, self.queries, self.negatives, self.length,
            self.seed, self.prefixes,
        )  # fmt: skip

    def texts(self, rules: TokenRules) -> TokenBatches:
        """Every question and every passage by itself, read by these rules."""
        from polyrank.late_interaction.marked_text import MarkedText
        from polyrank.late_interaction.skiplist import skipped_ids
        from polyrank.training.late_interaction.token_batches import TokenBatches

        return TokenBatches(
            self.examples, self.passages, MarkedText(self.tokenizer, rules, self.length),
            skipped_ids(self.tokenizer, rules, len(self.tokenizer)), self.queries, self.negatives,
            self.seed,
        )  # fmt: skip
