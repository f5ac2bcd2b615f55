"""What is done with ids that are not as expected. Light: the command line reads the names."""

from __future__ import annotations

ON_DUPLICATE = ("error", "replace", "skip")  # of documents to add whose id the index has
ON_MISSING = ("error", "skip")  # of ids that an index lacks, or that one of two runs lacks
