"""From a first-stage run to a reranked one: candidates, resume, fusion, interpolation."""
