"""Bilingual distillation: a smaller, faster model for one pair of languages.

After BiStil (Ansell et al. 2023, arXiv 2306.01709): trim the vocabulary, copy some of the layers,
align hidden states and attention on text of both languages, then on ranking data in one of them.
"""
