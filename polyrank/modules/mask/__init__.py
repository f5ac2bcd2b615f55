"""Masks: sparse differences to the base's weights, and their folder."""
