"""Rerankers by language models: every way in which the literature scores with one.

    SCORERS             what there is: label, integers, letters, setwise, groupwise, listwise, ...
    load_llm_reranker   a model or server, a scorer and a prompt → a reranker

An engine runs the model (`engines/`), a prompt says what it is asked (`prompts/*.yaml`), and each
scorer is a file here.
"""

from polyrank.rerankers.llm.load import load_llm_reranker
from polyrank.rerankers.llm.scorers import SCORERS

__all__ = ["SCORERS", "load_llm_reranker"]
