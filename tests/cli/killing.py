"""Run in a process of its own: verbs that write over time, killed at random moments, and gone on
with; prints what was wrong. Everything is imported once, and each call is a fork.

    python killing.py FOLDER COUNT SEED      FOLDER holds zoo/, texts/, and verbs.json
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path


def call(arguments: list[str], folder: Path, kill_after: float | None = None) -> int:
    """Exit code of a call, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        quiet = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.argv = ["polyrank", *arguments]
        os._exit(answer())
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def answer() -> int:
    from polyrank.cli import main

    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    return 0


def content(path: Path) -> dict[str, bytes]:
    """The bytes of an output; of a card not the figures of time."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    files = (one for one in sorted(path.rglob("*")) if one.is_file())
    return {
        str(one.relative_to(path)): one.read_bytes()
        for one in files
        if one.suffix not in (".md", ".json")
    }


def once(verb: dict, place: Path, whole: dict[str, bytes], seconds: float, chance: random.Random):
    """What is wrong after a kill and, if it was one, the same call with its way to go on."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(place.parent / "texts", place)
    code = call(verb["call"], place, chance.uniform(0, 1.1 * seconds))
    if code == 0:
        return content(place / verb["output"]) != whole and "finished, and differs"
    if code != -signal.SIGKILL:
        return f"exit code {code}: {(place / 'log').read_text()[-500:]}"
    attempts: tuple[list[str], ...] = (verb["resume"], [])
    for more in attempts:
        code = call([*verb["call"], *more], place)
        if code == 0 or (place / verb["output"]).is_dir():
            break
    if content(place / verb["output"]) != whole:
        return f"lost or wrong (exit code {code}): {(place / 'log').read_text()[-700:]}"
    left = [p.name for p in place.iterdir() if p.name.endswith((".lock", ".resume.json", ".work"))]
    return bool(left) and f"left behind: {left}"


def main(folder: Path, count: int, seed: int) -> None:
    import adapters  # noqa: F401
    import torch
    from polyrank.cli.app import app  # noqa: F401
    from transformers import AutoModel, BertModel, Trainer  # noqa: F401

    torch.set_num_threads(1)
    verbs = json.loads((folder / "verbs.json").read_text())
    place, wholes = folder / "case", {}
    for name, verb in verbs.items():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "texts", place)
        started = time.monotonic()
        code = call(verb["call"], place)
        assert code == 0, (name, (place / "log").read_text()[-1500:])
        wholes[name] = content(place / verb["output"]), time.monotonic() - started
    wrong, names = [], list(verbs)
    for number in range(count):
        name, chance = names[number % len(names)], random.Random(f"{seed} {number}")
        if found := once(verbs[name], place, *wholes[name], chance):
            wrong.append(f"[{number}] {name}: {found}")
    print(json.dumps(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]), int(sys.argv[3]))
