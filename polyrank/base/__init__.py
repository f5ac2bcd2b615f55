"""A base: the frozen pretrained encoder that every module is made for.

Imports no torch and no transformers until a base is loaded.
"""

from polyrank.base.card import BaseCard
from polyrank.base.fingerprint import Fingerprint, fingerprint_of
from polyrank.base.load import (
    BUNDLED_BASES,
    DEFAULT_BASE,
    Base,
    base_name,
    is_for_retrieval,
    load_base,
    load_tokenizer,
    only_cached,
    resolve_base,
)
from polyrank.base.roots import bundled_zoo, cache_root, expanded, with_zoos_of_here, zoo_roots
from polyrank.machine import device_of

__all__ = [
    "BUNDLED_BASES",
    "DEFAULT_BASE",
    "Base",
    "BaseCard",
    "Fingerprint",
    "base_name",
    "bundled_zoo",
    "cache_root",
    "device_of",
    "expanded",
    "fingerprint_of",
    "is_for_retrieval",
    "load_base",
    "load_tokenizer",
    "only_cached",
    "resolve_base",
    "with_zoos_of_here",
    "zoo_roots",
]
