"""Scale out with Ray: the same reranker, encoder or index in several processes or machines, the
same results in order."""
