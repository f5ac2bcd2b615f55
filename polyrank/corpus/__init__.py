"""Plain text for training, a sentence on each line: report on it, clean it, mix languages."""
