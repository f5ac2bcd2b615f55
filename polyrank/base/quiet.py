"""transformers without what it says and shows of steps that are no news to who ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Its warnings are off inside, such as that a pooler is new or a head is not used, and its bars
    of weights that are read or written. Bars of downloads, which are the Hub's, stay."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    downloads = not are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()  # turns off those of the Hub too
    if downloads:
        enable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # turns on those of the Hub too
        if not downloads:
            disable_progress_bars()
