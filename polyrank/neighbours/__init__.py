"""polyrank inside other tools: one file for each, and each alone imports its tool.

langchain     a document compressor
llama_index   a node postprocessor
haystack      a ranker component
mteb          a cross-encoder and a search, told the languages of each subset
mcp           tools for language models: rerank, search, explain
pyterrier     transformers: rerank, retrieve

Servers of other tools are reached by `polyrank serve`, whose routes their clients know.
"""
