"""Train a language module from plain text, sentence pairs, or both."""
