"""The other server of `serve.py`: sentence-transformers' CrossEncoder behind FastAPI.

    PYTHON benchmarks/serve_peer.py FOLDER

It is what its users write: a route that runs in FastAPI's pool of threads, one request at a time in
the model, batches of 32 sorted by length inside `predict`. Answers have the fields of ours.
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from sentence_transformers import CrossEncoder

app = FastAPI()
model = CrossEncoder(sys.argv[1], max_length=256, activation_fn=torch.nn.Identity())
lock = threading.Lock()


@app.post("/rerank")
def rerank(body: dict[str, Any]) -> dict[str, Any]:
    """Logits, best first."""
    with lock:
        scores = model.predict([(body["query"], text) for text in body["documents"]])
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return {"results": [{"index": i, "relevance_score": float(scores[i])} for i in order]}


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"serving at http://127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr)
        sys.stderr.flush()
        config = uvicorn.Config(app, log_level="error", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])
