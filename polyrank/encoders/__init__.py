"""A base run with modules: routed adapters, masks on the weights, batches by tokens."""
