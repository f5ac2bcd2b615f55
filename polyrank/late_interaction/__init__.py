"""ColBERT-style late interaction: the model, its text rules, its layouts on disk."""
