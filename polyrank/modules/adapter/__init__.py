"""Adapters: tensors, the layout of the `adapters` library, and their folder."""
