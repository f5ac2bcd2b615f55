"""A pool of two groups in three languages, small enough to compute by hand."""

import pytest

from polyrank.evaluation import Pool

LANGUAGES = ("en", "sw", "tr")


@pytest.fixture
def pool():
    """Groups g and h, each in en, sw and tr: documents g.en … h.tr; a query in each language."""
    ids = [f"{group}.{tag}" for group in "gh" for tag in LANGUAGES]
    return Pool(
        query_languages={f"q.{tag}": tag for tag in LANGUAGES},
        document_languages={i: i[2:] for i in ids},
        groups={i: i[0] for i in ids},
    )
