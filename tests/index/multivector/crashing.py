"""Run in a process of its own: change an index, killed at every step in turn; print what was left.

    python crashing.py FOLDER OPERATION STRIDE

Each attempt is a forked process that kills itself, by SIGKILL, at the n-th time that it is about to
touch the disk (write, rename, remove, or force a name out), n rising by STRIDE. What then lies
there is opened and described; the last attempt goes through.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).parent))

from conftest import WordEncoder  # noqa: E402

from polyrank.collections.records import Document, Query  # noqa: E402
from polyrank.errors import PolyrankError  # noqa: E402
from polyrank.index.multivector import (  # noqa: E402
    MultiVectorIndex,
    Plan,
    add,
    build,
    compact,
    delete,
    verify,
)
from polyrank.index.multivector import durable_files as files  # noqa: E402

TEXTS = [
    Document(f"d{i}", f"{['salt', 'iron', 'cold'][i % 3]} n{i}", language="sw" if i % 2 else "en")
    for i in range(9)
]
PLAN = Plan("residual-2", 4, shard=3)


def make(folder, resume=False):
    build(folder, TEXTS, WordEncoder(), PLAN, resume=resume)


OPERATIONS = {
    "build": make,
    "add": lambda folder: add(
        folder,
        [Document(f"n{i}", "old river", language="ky") for i in range(4)],
        WordEncoder(),
        shard=2,
    ),
    "replace": lambda folder: add(
        folder, [Document("d1", "old river", language="ky")], WordEncoder(), "replace"
    ),
    "delete": lambda folder: delete(folder, ["d0", "d4"], languages=["sw"]),
    "compact": compact,
}


def killed_at(step):
    """Make the n-th touch of the disk the last thing that this process does."""
    left = [step]

    def counted(call):
        def touch(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return touch

    for module, names in (
        (files, ["write", "sync", "remove"]),
        (files.os, ["replace", "rename", "fsync"]),
    ):
        for name in names:
            setattr(module, name, counted(getattr(module, name)))


def state(folder):
    """What a reader sees: the generation and every score; or why there is nothing to see."""
    try:
        index = MultiVectorIndex(folder, WordEncoder())
    except PolyrankError as error:
        return {"error": str(error)}
    hits = index.search([Query("q", "salt river")], depth=100)["q"]
    return {
        "generation": index.info().generation,
        "found": [(hit.document_id, round(hit.score, 4)) for hit in hits],
        "problems": verify(folder).problems,
        "leftovers": len(index.info().leftovers),
    }


def attempt(folder, operation, step):
    """Whether the operation went through before its n-th touch of the disk."""
    child = os.fork()
    if child == 0:
        killed_at(step)
        OPERATIONS[operation](folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.waitstatus_to_exitcode(status) == 0
    return True


def bytes_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes().hex()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def main(root, operation, stride):
    root, rows, step, done = Path(root), [], 1 - int(stride), False
    original = root / "original"
    make(original)
    if operation == "compact":
        delete(original, ["d0", "d4"])
    if operation == "build":
        whole = bytes_of(original)
    while not done:
        step += int(stride)
        folder = root / f"{operation}{step}"
        if operation != "build":
            shutil.copytree(original, folder)
        done = attempt(folder, operation, step)
        row = {"step": step, "done": done, **state(folder)}
        if operation == "build":
            if not folder.exists():
                make(folder, resume=True)
            elif row["leftovers"]:
                add(folder, [], WordEncoder())  # the next change clears up
            row["same_bytes"] = bytes_of(folder) == whole
        else:
            after = delete(folder, ["d2"])  # the next change clears up, and works
            row["removed"], row["after"] = after.leftovers, state(folder)
        rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
