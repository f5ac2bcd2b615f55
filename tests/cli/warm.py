"""The command `polyrank` without the seconds that its imports take, for tests that run it often.

A server imports the libraries once and forks for every call; a client of a few lines, named
`polyrank`, sends it its arguments, folder and files. Nothing of a call is left for the next.

    python warm.py SOCKET        is the server; it says 'ready' when it is
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    call = json.dumps([os.getcwd(), sys.argv[1:]]).encode()
    socket.send_fds(server, [len(call).to_bytes(4, "big") + call], [0, 1, 2])
    code = server.recv(1)
sys.exit(code[0] if code else "the call was lost")
"""


def serve(path: str) -> None:
    import bm25s  # noqa: F401
    import datasets  # noqa: F401
    import ir_measures  # noqa: F401
    from adapters import AutoAdapterModel  # noqa: F401
    from polyrank.cli import app  # noqa: F401
    from transformers import AutoModel, AutoTokenizer, BertModel, Trainer  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children are not waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a call may have children of its own
                listener.close()
                answer(client)
            client.close()


def answer(client: socket.socket) -> None:
    """Run one call as the command would, and end this process with its exit code."""
    head, files, *_ = socket.recv_fds(client, 4, 3)
    size, call = int.from_bytes(head, "big"), b""
    while len(call) < size:
        call += client.recv(size - len(call))
    folder, arguments = json.loads(call)
    for own, file in enumerate(files):
        os.dup2(file, own)
        os.close(file)
    os.chdir(folder)
    sys.argv = ["polyrank", *arguments]
    code = run()
    client.send(bytes([code]))
    os._exit(code)


def run() -> int:
    from polyrank.cli import main

    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
