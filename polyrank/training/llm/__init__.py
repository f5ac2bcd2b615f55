"""Language models that learn to rank: an objective a file, see `objectives`. Needs no torch."""
