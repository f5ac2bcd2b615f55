"""Candidate summaries from content plans, and their reranking.

    article → units → plans → candidates → the best one

After Adams et al. 2023, *Generating EDU Extracts for Plan-Guided Summary Re-Ranking* (arXiv
2305.17779): an extractive model proposes several plans, each a few units of the article; from each
plan a candidate is written; the candidates are reranked.
"""
