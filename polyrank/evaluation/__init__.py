"""Measures, significance and reports."""

from polyrank.evaluation.measures import evaluate, parse_measure
from polyrank.evaluation.reports import Comparison, Report
from polyrank.evaluation.significance import bootstrap_interval, holm, randomisation_test

__all__ = [
    "Comparison",
    "Report",
    "bootstrap_interval",
    "evaluate",
    "holm",
    "parse_measure",
    "randomisation_test",
]
