"""First stages: lexical, dense, and multi-vector indexes."""
