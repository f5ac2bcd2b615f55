"""Measures, language-aware measures, significance and reports."""

from polyrank.evaluation.aggregates import (
    Aggregates,
    aggregates,
    locality_effect,
    mother_tongue_effect,
)
from polyrank.evaluation.by_language import Languages, by_language
from polyrank.evaluation.comparing import Settings, compare, compare_values
from polyrank.evaluation.comparisons import Comparisons, Contrast
from polyrank.evaluation.measures import evaluate, parse_measure
from polyrank.evaluation.pool import Pool
from polyrank.evaluation.reports import Comparison, Report
from polyrank.evaluation.significance import (
    bonferroni,
    bootstrap_interval,
    effect_size,
    holm,
    randomisation_test,
    t_test,
)
from polyrank.evaluation.value_files import read_values, write_values

__all__ = [
    "Aggregates",
    "Comparison",
    "Comparisons",
    "Contrast",
    "Languages",
    "Pool",
    "Report",
    "Settings",
    "aggregates",
    "bonferroni",
    "bootstrap_interval",
    "by_language",
    "compare",
    "compare_values",
    "effect_size",
    "evaluate",
    "holm",
    "locality_effect",
    "mother_tongue_effect",
    "parse_measure",
    "randomisation_test",
    "read_values",
    "t_test",
    "write_values",
]
