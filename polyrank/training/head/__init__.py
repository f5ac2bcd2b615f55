"""Train a masked-language head for a base that has none."""
