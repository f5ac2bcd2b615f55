"""How sparse a mask is, and how its coordinates are found."""

from __future__ import annotations

from dataclasses import dataclass

from polyrank.errors import UsageError

CANDIDATES = {"all": ("embeddings.", "encoder."), "encoder": ("encoder.",)}


@dataclass(frozen=True)
class Sparsity:
    """How sparse, and how the coordinates are found.

    Attributes:
        k: coordinates to keep; below 1 a share of the candidates; None leaves the number to who
            trains: as many as an adapter would have parameters.
        full_steps: steps of the phase that finds them; None takes as many as the sparse phase has.
        l1: pull to the start: this times Σ|θ - θ0| over the number of the model's parameters.
        freeze_norms: leave the LayerNorms out.
        candidates: 'all' of the encoder, or 'encoder': its layers without the embeddings.
        iterations: rounds of finding and training; each keeps an equal share of k.
    """

    k: float | None = None
    full_steps: int | None = None
    l1: float = 0.0
    freeze_norms: bool = False
    candidates: str = "all"
    iterations: int = 1

    def __post_init__(self) -> None:
        if self.candidates not in CANDIDATES:
            raise UsageError(
                f"unknown candidates '{self.candidates}'; use one of {', '.join(CANDIDATES)}"
            )
        if self.k is not None and not (
            0 < self.k < 1 or (self.k >= 1 and float(self.k).is_integer())
        ):
            raise UsageError(f"--k is {self.k}; give a whole number, or a share below 1")
        if self.iterations < 1 or self.l1 < 0:
            raise UsageError("--iterations must be 1 or more, and --l1 not below 0")

    def quota(self, round_number: int, k: int) -> int:
        """How many of k coordinates a round adds."""
        return k * (round_number + 1) // self.iterations - k * round_number // self.iterations


PLAIN = Sparsity()  # of ranking modules
PUBLISHED = Sparsity(l1=0.1, freeze_norms=True)  # of language modules
DISTILLED = Sparsity(k=0.08, candidates="encoder")  # of a distilled student; density as published
