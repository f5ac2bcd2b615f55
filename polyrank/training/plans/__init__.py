"""Training of the models that plan summaries."""
