"""polyrank: multilingual modular adapters for reranking."""
