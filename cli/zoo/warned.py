"""What the library warns of, told to the user."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from polyrank.progress import note


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """What a function warns of, as messages to the user."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                note(str(warning.message))
