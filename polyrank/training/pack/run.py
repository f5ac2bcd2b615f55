"""Trains what a plan lists, on a GPU machine, under a time limit.

    python -m polyrank.training.pack.run --pack gpu_pack --minutes 6 --output OUT

Several workers share the card, since one alone does not fill it. Each module is written when it is
done, and the files of OUT (at most seven of at most 15 MiB, and `results.json`) are refreshed then,
so that a machine that is taken away costs what was in the making.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import time
import traceback
from pathlib import Path

FILE_LIMIT, FILES = 15 << 20, 6


def work_off(pack: Path, work: Path, number: int, plan: str, deadline: float, device: str) -> None:
    """One worker: its jobs in order."""
    import torch

    from polyrank.machine import leave_cudnn_out
    from polyrank.training.pack import plan as plans
    from polyrank.training.pack.jobs import Bench, run
    from polyrank.training.pack.loaded import Pack

    torch.set_num_threads(1 if device != "cpu" else torch.get_num_threads())
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    leave_cudnn_out()
    bench = Bench(Pack(pack, device), work, deadline)
    for job in getattr(plans, plan)[number]:
        try:
            facts = run(job, bench)
        except Exception:
            text = traceback.format_exc()
            (work / f"{job.name}.failed").write_text(text)
            print(f"[{number}] {job.name} failed:\n{text}", flush=True)
            continue
        if facts is not None:
            shown = {k: v for k, v in facts.items() if "development" in k or k.startswith("perp")}
            print(
                f"[{number}] {job.name} {facts['steps']} steps {facts['seconds']} s "
                f"loss {facts['loss at last']} {json.dumps(shown)}",
                flush=True,
            )


def pack_up(work: Path, output: Path) -> int:
    """Put what is done into few files; how many modules there are."""
    results = {}
    groups: list[list[Path]] = [[]]
    for facts in sorted(work.glob("*.json")):
        results[facts.stem] = json.loads(facts.read_text())
        for tensors in sorted(work.glob(f"{facts.stem}.part*.tensors")):
            size = sum(path.stat().st_size for path in groups[-1]) + tensors.stat().st_size
            if size > FILE_LIMIT and len(groups) < FILES:
                groups.append([])
            groups[-1].append(tensors)
    results["failed"] = {path.stem: path.read_text() for path in work.glob("*.failed")}
    for number, group in enumerate(groups):
        partial = output / f".modules-{number}.tar"
        with tarfile.open(partial, "w") as archive:
            for path in group:
                archive.add(path, path.name)
        partial.rename(output / f"modules-{number}.tar")
    (output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return len(results) - 1


def main() -> None:
    """Start the workers and watch them until all is done or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, default=Path("gpu_pack"))
    parser.add_argument("--output", type=Path, required=True, help="folder for what comes back")
    parser.add_argument("--minutes", type=float, default=6.0, help="time limit")
    parser.add_argument("--plan", default="FINAL", help="FINAL, COMPARISON or BASELINE")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--work", type=Path, help="folder of the workers; default OUTPUT/.work")
    parser.add_argument("--worker", type=int, help="(internal) number of this worker")
    parser.add_argument("--deadline", type=float, help="(internal)")
    options = parser.parse_args()
    work = options.work or options.output / ".work"
    if options.worker is not None:
        work_off(options.pack, work, options.worker, options.plan, options.deadline, options.device)
        return
    from polyrank.training.pack import plan as plans

    options.output.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    deadline = time.time() + 60 * options.minutes
    inner = deadline - 6  # the workers finish their last measurements then
    common = ["--pack", options.pack, "--output", options.output, "--work", work]
    common += ["--plan", options.plan, "--device", options.device, "--deadline", inner]
    command = [sys.executable, "-m", "polyrank.training.pack.run", *map(str, common)]
    jobs = getattr(plans, options.plan)
    workers = [subprocess.Popen([*command, "--worker", str(n)]) for n in range(len(jobs))]
    while any(worker.poll() is None for worker in workers) and time.time() < deadline + 10:
        time.sleep(5)
        pack_up(work, options.output)
    for worker in workers:
        worker.kill()
    done, expected = pack_up(work, options.output), sum(map(len, jobs))
    print(f"{done} of {expected} jobs done; results in {options.output}", flush=True)


if __name__ == "__main__":
    main()
