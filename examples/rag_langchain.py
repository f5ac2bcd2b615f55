"""A pipeline that answers from documents in another language, with LangChain.

Needs polyrank[langchain]: langchain_core

    python examples/rag_langchain.py FOLDER

A Turkish question finds English passages; polyrank reorders them; a prompt holds the best. Put a
chat model of LangChain where ECHO stands. The prompt stands in FOLDER as prompt.txt.
"""

import sys
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

import polyrank as pr
from polyrank.neighbours.langchain import PolyrankRerank

QUESTION = "Londra polisi kimi arıyor?"
folder = Path(sys.argv[1])
records = pr.load_collection("ntrex", queries="tr", documents="en", limit=1).documents
found_by = pr.BM25(records.values())
compressor = PolyrankRerank(model="e5-small", top_n=2, query_language="tr")


def retrieve(question: str) -> list[Document]:
    """Ten passages, each with its language, which the reranker reads."""
    dense = pr.ModularDense(list(records.values())[:40])
    run = pr.fuse([one.search([pr.Query("q", question, "tr")], 10) for one in (found_by, dense)])
    return [
        Document(records[hit.document_id].text, metadata={"language": "en", "id": hit.document_id})
        for hit in run["q"][:10]
    ]


def rerank(question: str) -> str:
    """The best passages as the context of a prompt."""
    kept = compressor.compress_documents(retrieve(question), question)
    return "\n\n".join(f"[{one.metadata['id']}] {one.page_content[:400]}" for one in kept)


prompt = PromptTemplate.from_template(
    "Answer in Turkish, from these passages alone.\n\n{context}\n\nQuestion: {question}\n"
)
ECHO = RunnableLambda(lambda value: value.to_string())  # a chat model's place
chain = {"context": RunnableLambda(rerank), "question": RunnablePassthrough()} | prompt | ECHO
answer = chain.invoke(QUESTION)
(folder / "prompt.txt").write_text(answer, encoding="utf-8")
print(answer)
