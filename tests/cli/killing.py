"""Run in a process of its own: verbs that write over time, killed at random moments, and gone on
with; prints what was wrong. Everything is imported once, and each call is a fork.

    python killing.py FOLDER COUNT SEED      FOLDER holds zoo/, texts/, and verbs.json
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

Content = dict[str, bytes]


class Whole(NamedTuple):
    """What is there before and after a call that nothing stops, and how long it takes."""

    before: Content
    after: Content
    seconds: float


def call(
    arguments: list[str], folder: Path, kill_after: float | None = None, output: str = "log"
) -> int:
    """Exit code of a call, or minus the signal that ended it; what it printed is in two files."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.environ["POLYRANK_CACHE"] = str(folder / "cache")
        for name, stream in ((output, 1), ("log", 2)):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
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


def content(verb: dict, place: Path) -> Content:
    """The bytes of an output, of a card not the figures of time; or what the verb's look prints,
    but for an index's leftovers, which the next change removes."""
    if verb["look"]:
        seen = place / "seen"
        seen.unlink(missing_ok=True)
        code = call(verb["look"], place, output=seen.name)
        printed = re.sub(rb'"leftovers": \[.*?\]', b"", seen.read_bytes())
        return {"exit code": str(code).encode(), "printed": printed}
    path = place / verb["output"]
    if path.is_file():
        return {path.name: path.read_bytes()}
    files = (one for one in sorted(path.rglob("*")) if one.is_file())
    return {
        str(one.relative_to(path)): one.read_bytes()
        for one in files
        if one.suffix not in (".md", ".json")
    }


def once(verb: dict, place: Path, whole: Whole, chance: random.Random):
    """What is wrong after a kill and, if it was one, the same call with its way to go on."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(place.parent / "texts", place)
    code = call(verb["call"], place, chance.uniform(0, 1.1 * whole.seconds))
    if code == 0:
        return content(verb, place) != whole.after and "finished, and differs"
    if code != -signal.SIGKILL:
        return f"exit code {code}: {(place / 'log').read_text()[-500:]}"
    if verb["look"] and (seen := content(verb, place)) not in (whole.before, whole.after):
        return f"neither the old state nor the new one: {seen}"
    leftover = [".resume.json", ".work"]
    if not verb["look"] or seen == whole.before:
        _go_on(verb, place)
        leftover.append(".lock")  # else nobody came who could remove it
    if content(verb, place) != whole.after:
        return f"lost or wrong: {(place / 'log').read_text()[-700:]}"
    left = [p.name for p in place.iterdir() if p.name.endswith(tuple(leftover))]
    return bool(left) and f"left behind: {left}"


def _go_on(verb: dict, place: Path) -> None:
    attempts: tuple[list[str], ...] = (verb["resume"], [])
    for more in attempts:
        code = call([*verb["call"], *more], place)
        if code == 0 or (place / verb["output"]).is_dir():
            break


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
        before = content(verb, place) if verb["look"] else {}
        started = time.monotonic()
        code = call(verb["call"], place)
        assert code == 0, (name, (place / "log").read_text()[-1500:])
        seconds = time.monotonic() - started
        wholes[name] = Whole(before, content(verb, place), seconds)
        assert wholes[name].after != before, name
    wrong, names = [], list(verbs)
    for number in range(count):
        name, chance = names[number % len(names)], random.Random(f"{seed} {number}")
        if found := once(verbs[name], place, wholes[name], chance):
            wrong.append(f"[{number}] {name}: {found}")
    print(json.dumps(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]), int(sys.argv[3]))
