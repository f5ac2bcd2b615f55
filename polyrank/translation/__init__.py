"""Texts in another language: translators, marked spans, and what of a collection is translated."""
