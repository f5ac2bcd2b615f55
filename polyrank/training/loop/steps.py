"""One way to train everything: a function that makes batch number i, and a loss of it.

Since batch i depends on the seed and on i alone, a resumed run sees the batches that an
uninterrupted one would have seen. The Hugging Face `Trainer` does the rest: checkpoints with
optimizer and generator states, gradient clipping, schedules. Several processes share the rows of
each batch, see `processes`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from polyrank.errors import DataError, Interrupted
from polyrank.machine import fast_bf16, machine
from polyrank.progress import EVERY
from polyrank.training.loop import processes

Batch = Mapping[str, Any]


class Steps(Dataset):
    """The batches of a training run, made on demand: item i is the batch of step i."""

    def __init__(self, make: Callable[[int], Batch], count: int) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        return self.make(index)


@dataclass(frozen=True)
class Schedule:
    """How a run is optimised.

    steps: optimizer steps. rate: peak learning rate, linear warm-up then linear decay to 0.
    rates: learning rates of parameters by a prefix of their name. seed: of everything random.
    accumulate: batches whose gradients make one step; batch i is then the i-th of all.
    save_every, save_minutes: a checkpoint after so many steps, and after so many minutes, so that a
    kill costs little whether steps are fast or slow. bf16: None takes it where the machine has it.
    """

    steps: int
    rate: float
    warmup: float = 0.06
    rates: tuple[tuple[str, float], ...] = ()
    weight_decay: float = 0.01
    seed: int = 13
    save_every: int = 200
    save_minutes: float = 3.0
    bf16: bool | None = None
    accumulate: int = 1


class StepTrainer(Trainer):
    """A `Trainer` whose batches come ready-made and in order, and whose loss is a function."""

    def __init__(
        self, *, loss: Callable[[nn.Module, Batch], Tensor], schedule: Schedule, **kw: Any
    ):
        self.loss, self.schedule = loss, schedule
        super().__init__(**kw)

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def compute_loss(self, model: nn.Module, inputs: Batch, *_: Any, **__: Any) -> Tensor:
        # a loss calls parts of the model, which the Trainer's own autocast does not reach on a GPU
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.args.bf16):
            return self.loss(model, inputs)

    def training_step(self, model: nn.Module, *arguments: Any, **kw: Any) -> Tensor:
        """Loss and gradients, which the processes add up."""
        loss: Tensor = super().training_step(model, *arguments, **kw)
        if self.accelerator.sync_gradients:
            processes.add_gradients(model)
        return loss

    def floating_point_ops(self, inputs: Batch) -> int:
        """Not counted: the library's estimate needs batches of one fixed form."""
        return 0

    def create_optimizer(self) -> torch.optim.Optimizer:
        """AdamW; no decay on biases and LayerNorms; rates by prefix."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        assert self.model is not None
        for name, parameter in self.model.named_parameters():
            if not parameter.requires_grad:
                continue
            rate = next(
                (r for p, r in self.schedule.rates if name.startswith(p)), self.schedule.rate
            )
            decay = 0.0 if parameter.ndim < 2 else self.schedule.weight_decay
            groups.setdefault((rate, decay), []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": p, "lr": rate, "weight_decay": decay}
                for (rate, decay), p in groups.items()
            ]
        )
        return self.optimizer


class SaveByClock(TrainerCallback):
    """Asks for a checkpoint when the last one, or the start, is `minutes` ago."""

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.minutes, self.clock, self.last = minutes, clock, clock()

    def on_train_begin(self, args, state, control, **kw):  # type: ignore[no-untyped-def]
        """The clock starts."""
        self.last = self.clock()

    def on_step_end(self, args, state, control, **kw):  # type: ignore[no-untyped-def]
        """Whether it is time."""
        if self.clock() - self.last >= 60 * self.minutes:
            control.should_save = True

    def on_save(self, args, state, control, **kw):  # type: ignore[no-untyped-def]
        """The clock starts anew, whatever asked for this checkpoint."""
        self.last = self.clock()


class OnlyMainSaves(TrainerCallback):
    """Drops what the other callbacks ask for, but in the main process; the last of them."""

    def on_step_end(self, args, state, control, **kw):  # type: ignore[no-untyped-def]
        """No checkpoint from here."""
        if not processes.is_main():
            control.should_save = False


class Arguments(TrainingArguments):
    """Of one `Trainer` in each process, on the device of that process."""

    @property
    def device(self) -> torch.device:
        chosen = super().device
        if chosen.type != "cuda" or not processes.together():
            return chosen
        own = torch.device("cuda", processes.local_rank())
        torch.cuda.set_device(own)
        return own


class Log(TrainerCallback):
    """Plain progress lines to stderr where no bar is drawn: the loss now and then, and a line a
    minute where that takes long."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def on_step_end(self, args, state, control, **kw):  # type: ignore[no-untyped-def]
        """One line, a minute after the last: the step."""
        silent = time.monotonic() - self._told
        if silent > EVERY and processes.is_main() and not sys.stderr.isatty():
            self._told = time.monotonic()
            print(f"step {state.global_step}/{state.max_steps}", file=sys.stderr)

    def on_log(self, args, state, control, logs=None, **kw):  # type: ignore[no-untyped-def]
        """One line: step and loss."""
        shown = processes.is_main() and not sys.stderr.isatty()
        if logs and "loss" in logs and shown:
            self._told = time.monotonic()
            print(
                f"step {state.global_step}/{state.max_steps} loss {logs['loss']:.4f}",
                file=sys.stderr,
            )


def fit(
    model: nn.Module,
    make: Callable[[int], Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    schedule: Schedule,
    work: Path,
    resume: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
) -> dict[str, Any]:
    """Trains `model` in place.

    Args:
        model: parameters with `requires_grad` are trained.
        make: batch of step i, nested mappings of tensors.
        loss: scalar loss of the model on a batch.
        schedule: how.
        work: folder of checkpoints; emptied first unless `resume`.
        resume: continue from the last checkpoint in `work`, if there is one.
        callbacks: of the Trainer, beside the one that prints.

    Returns:
        Facts for the card: steps, minutes (of this process alone), machine, seed, precision.

    Raises:
        UsageError: a batch that has fewer rows than there are processes.
    """
    processes.start()
    checkpoint = _checkpoint(work, resume)
    bf16 = fast_bf16() if schedule.bf16 is None else schedule.bf16
    processes.same_start(model)
    started = time.time()
    with processes.unlaunched(), _told_once():
        arguments = _arguments(schedule, work, bf16)
        trainer = StepTrainer(
            model=model,
            args=arguments,
            train_dataset=Steps(make, schedule.steps * schedule.accumulate),
            data_collator=_only,
            loss=loss,
            schedule=schedule,
            callbacks=[Log(), SaveByClock(schedule.save_minutes), *callbacks, OnlyMainSaves()],
        )
        trainer.remove_callback(PrinterCallback)  # `Log` prints the same, shorter, to stderr
        try:
            trainer.train(resume_from_checkpoint=checkpoint)
        except KeyboardInterrupt:
            raise _stopped(work) from None
    # else whoever runs the model later would do so in bf16, by the autocast around its forward
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    processes.wait()  # until the last checkpoint is written
    return facts_of(trainer, started)


def facts_of(trainer: Trainer, started: float) -> dict[str, Any]:
    """What a card says of a finished run that began at `started`, in seconds of `time.time`."""
    return {
        "steps": trainer.state.global_step,
        "minutes": round((time.time() - started) / 60, 1),
        "machine": machine(),
        "seed": trainer.args.seed,
        "precision": "bf16" if trainer.args.bf16 else "fp32",
        **({"processes": processes.count()} if processes.together() else {}),
    }


def _checkpoint(work: Path, resume: bool) -> str | None:
    """Where to go on from; without a checkpoint the folder is emptied."""
    found = None
    if processes.is_main():
        found = last_checkpoint(work) if resume else None
        if found is None and work.exists():
            shutil.rmtree(work)
    return processes.from_main(found)


def _arguments(schedule: Schedule, work: Path, bf16: bool) -> TrainingArguments:
    arguments = Arguments(
        output_dir=str(work),
        max_steps=schedule.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=schedule.accumulate,
        learning_rate=schedule.rate,
        warmup_steps=math.ceil(schedule.warmup * schedule.steps),
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        save_steps=schedule.save_every,
        logging_steps=25,
        dataloader_pin_memory=False,
        **common_arguments(schedule.seed, bf16),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # batches come whole: never split over devices
    return arguments


def common_arguments(seed: int, bf16: bool) -> dict[str, Any]:
    """What holds for every `Trainer` here: the last checkpoint is kept, and nothing is sent out."""
    return {
        "seed": seed,
        "bf16": bf16,
        "save_strategy": "steps",
        "save_total_limit": 1,
        "use_cpu": not torch.cuda.is_available(),
        "report_to": [],
        "disable_tqdm": not (sys.stderr.isatty() and processes.is_main()),
        "remove_unused_columns": False,
    }


@contextmanager
def _told_once() -> Iterator[None]:
    """Without the library's warning that it does not spread the model, where processes do."""
    logger = logging.getLogger("transformers.training_args")
    level = logger.level
    if processes.together():
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _stopped(work: Path) -> Interrupted:
    """What to raise for a Ctrl-C: from which step the run can be continued."""
    checkpoint = last_checkpoint(work) if processes.is_main() else None
    step = Path(checkpoint).name.removeprefix("checkpoint-") if checkpoint else None
    where = f"step {step}" if step else "the beginning"
    return Interrupted(f"stopped; the same command with --resume goes on from {where}")


def last_checkpoint(work: Path) -> str | None:
    """The newest complete checkpoint; what a kill left half-written is removed.

    The Trainer writes `trainer_state.json` last.
    """
    complete = []
    for folder in work.glob("checkpoint-*"):
        if (folder / "trainer_state.json").is_file():
            complete.append(folder)
        else:
            shutil.rmtree(folder)
    return str(max(complete, key=lambda folder: int(folder.name[11:]))) if complete else None


def digest(*paths: str | Path) -> str:
    """A short sha256 over the bytes of files, to tell whether they changed."""
    found = hashlib.sha256()
    for path in paths:
        try:
            found.update(Path(path).read_bytes())
        except OSError as error:
            raise DataError(path, None, f"cannot be read: {error.strerror}") from error
    return found.hexdigest()[:16]


def _only(items: Iterable[Batch]) -> Batch:
    (batch,) = items
    return batch
