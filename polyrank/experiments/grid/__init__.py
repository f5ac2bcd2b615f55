"""Distillation compared: backbones × students × losses × seeds, trained, measured and ranked.

The layout of the comparison of distillation losses for cross-encoders (arXiv 2603.03010): every
cell learns from one file of teacher scores; losses are ranked by Friedman's and Nemenyi's tests.
"""
