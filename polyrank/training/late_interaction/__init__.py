"""Train a late-interaction model: its projection and its ranking module."""
