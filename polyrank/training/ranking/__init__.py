"""Train a ranking module: a cross-encoder's adapter, mask or full model."""
