"""A language model in this process, by transformers: decoder-only, or encoder–decoder as T5."""

from __future__ import annotations

import copy
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyrank.base import device_of
from polyrank.encoders.precision import as_precision
from polyrank.errors import UsageError
from polyrank.notes import Notebook
from polyrank.rerankers.identity import weights_of
from polyrank.rerankers.llm.engines.base import Generation, PromptIds, Sampling, Token, Usage
from polyrank.rerankers.llm.engines.base import pieces_of as _pieces_of
from polyrank.rerankers.llm.engines.reading import read_language_model

SHORTEST_PREFIX = 8  # tokens: below that a pass of its own costs more than it saves

T = TypeVar("T")


class Head(nn.Module):
    """The output matrix of a model, of which only the rows that are asked for are computed.

    Those are computed in fp32 whatever the weights are: at 8 or 11 bits many documents would tie.
    """

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.whole = whole
        self.rows: Tensor | None = None

    def forward(self, hidden: Tensor) -> Tensor:
        if self.rows is None:
            logits: Tensor = self.whole(hidden)  # (B, 1, V)
            return logits
        weight, bias = self.whole.weight, getattr(self.whole, "bias", None)
        return F.linear(
            hidden.float(),
            weight[self.rows].float(),  # type: ignore[index]
            None if bias is None else bias[self.rows].float(),
        )  # (B, 1, rows)


@dataclass
class State:
    """Where a batch of answers stands: the logits of the next token, and what to go on from."""

    logits: Tensor  # (B, V) or (B, rows), fp32
    cache: Any
    mask: Tensor  # (B, L) for decoders: which positions of the cache are tokens
    positions: Tensor  # (B, 1): of the last token
    encoded: Any = None  # of the encoder, where there is one

    def select(self, rows: Tensor) -> State:
        """The state of some rows of the batch."""
        self.cache.batch_select_indices(rows)
        encoded = self.encoded
        if encoded is not None:
            encoded = type(encoded)(last_hidden_state=encoded.last_hidden_state[rows])
        return State(self.logits[rows], self.cache, self.mask[rows], self.positions[rows], encoded)


class TransformersEngine:
    """A language model of Hugging Face, in fp32 unless told otherwise.

    Args:
        model: a folder or Hub id. Weights are read from safetensors alone, and no code that comes
            with a model is run.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        precision: 'fp32' (default), 'bf16' or 'fp16'. Logits of labels are fp32 always.
        batch_tokens: tokens in one batch, padding and shared prefix included; halved when memory
            runs out, down to one prompt.
        share_prefix: compute what all prompts of a call begin with once, and keep its keys and
            values. Answers are the same without, to rounding.
        context: tokens of prompt and answer together; by default what the model was made for.

    Raises:
        ModuleError: a model that cannot be read, has code of its own or no fast tokenizer.
    """

    log_probabilities = False

    def __init__(
        self,
        model: str | Path,
        device: str | None = None,
        precision: str | None = None,
        batch_tokens: int = 16384,
        share_prefix: bool = True,
        context: int | None = None,
    ) -> None:
        self.name, self.device = str(model), device_of(device)
        self.batch_tokens, self.share_prefix = batch_tokens, share_prefix
        self.precision = as_precision(precision)
        if self.precision.quantised:
            raise UsageError("int8 is not for language models; use fp32, bf16 or fp16")
        loaded, self.tokenizer = read_language_model(str(model), self.precision.dtype)
        self.model = loaded.to(self.device)
        self.head = Head(self.model.get_output_embeddings())
        self.model.set_output_embeddings(self.head)
        self.usage, self.notebook = Usage(), Notebook()
        config = self.model.config.get_text_config()
        limits = [getattr(config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        known = [int(limit) for limit in limits if limit and limit < 10**9]
        self.context = context or min(known, default=2048)
        self.encoder_decoder = bool(self.model.config.is_encoder_decoder)
        self._window = getattr(config, "sliding_window", None) or self.context
        # On a CPU padding costs as much as text: there a batch holds prompts of nearly one length.
        self.even = 0.8 if self.device.type == "cpu" else 0.0
        self._ends = _ends_of(self.model, self.tokenizer)

    def size(self) -> tuple[int, int]:
        """Parameters and bytes of the weights as they are held."""
        held = list(self.model.parameters())  # tied weights are one parameter
        return sum(t.numel() for t in held), sum(t.numel() * t.element_size() for t in held)

    def identity(self) -> dict[str, str]:
        """The weights, and in which precision they run."""
        return {"model weights": weights_of(self.name, self.model), **self.precision.identity()}

    def logits(self, prompts: Sequence[PromptIds], tokens: Sequence[Token]) -> list[list[float]]:
        """Logits of the tokens at the last position of each prompt, in fp32."""
        if not prompts:
            return []

        def last(rows: list[PromptIds], prefix: Any) -> list[list[float]]:
            found: list[list[float]] = self._start(rows, prefix).logits.tolist()
            return found

        with self._counted(prompts), self._rows(tokens):
            return self._in_batches(prompts, last, 0)

    def generate(self, prompts: Sequence[PromptIds], sampling: Sampling) -> list[Generation]:
        """An answer to each prompt; the same whatever it is batched with, to rounding."""
        if not prompts:
            return []
        with self._counted(prompts):
            answers = self._in_batches(
                prompts, lambda rows, prefix: self._answers(rows, prefix, sampling),
                sampling.max_tokens,
            )  # fmt: skip
        said = sum(len(answer.logprobs) for answer in answers)
        self.usage = replace(self.usage, generated_tokens=self.usage.generated_tokens + said)
        return answers

    @contextmanager
    def _counted(self, prompts: Sequence[PromptIds]) -> Iterator[None]:
        start = time.perf_counter()
        yield
        tokens = sum(map(len, prompts))
        spent = time.perf_counter() - start
        self.usage += Usage(calls=len(prompts), prompt_tokens=tokens, seconds=spent)

    @contextmanager
    def _rows(self, tokens: Sequence[Token]) -> Iterator[None]:
        self.head.rows = torch.tensor([token.id for token in tokens], device=self.device)
        try:
            yield
        finally:
            self.head.rows = None

    def _in_batches(
        self,
        prompts: Sequence[PromptIds],
        forward: Callable[[list[PromptIds], Any], list[T]],
        answer: int,
    ) -> list[T]:
        """A result for each prompt, in their order; longest first, under the budget of tokens."""
        shared = self._shared(prompts, answer)
        prefix = self._prefix(prompts[0][:shared]) if shared else None
        todo = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))
        results: dict[int, T] = {}
        while todo:
            longest = len(prompts[todo[0]]) + answer
            batch = todo[: max(1, self.batch_tokens // longest)]
            if not answer:  # answers go on token by token, which is cheapest for all at once
                least = shared + self.even * (longest - shared)
                batch = [place for place in batch if len(prompts[place]) >= least]
            try:
                found = forward([prompts[place] for place in batch], prefix)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                self.batch_tokens = max(1, len(batch) // 2) * longest
                self.notebook.add(
                    "memory",
                    f"memory ran out: batches of {self.batch_tokens} tokens from here on",
                )
                continue
            results.update(zip(batch, found, strict=True))
            todo = todo[len(batch) :]
        computed_once = shared * (len(prompts) - 1)
        self.usage += Usage(cached_tokens=computed_once)
        return [results[place] for place in range(len(prompts))]

    def _shared(self, prompts: Sequence[PromptIds], answer: int) -> int:
        """How many tokens all prompts begin with; at least one token of each is left over."""
        longest = max(map(len, prompts)) + answer
        if not self.share_prefix or self.encoder_decoder or longest > self._window:
            return 0  # padding between prefix and rest would push tokens out of a sliding window
        if len(prompts) < 2:
            return 0
        ordered = sorted(map(tuple, prompts))  # the first and last differ the earliest
        first, last = ordered[0], ordered[-1]
        bound = min(map(len, prompts)) - 1
        shared = 0
        while shared < bound and first[shared] == last[shared]:
            shared += 1
        return shared if shared >= SHORTEST_PREFIX else 0

    @torch.inference_mode()
    def _prefix(self, ids: PromptIds) -> Any:
        """Keys and values of what all prompts begin with, from one pass over it."""
        found = self.model(
            input_ids=torch.tensor([list(ids)], device=self.device),  # (1, P)
            use_cache=True,
            logits_to_keep=1,
        )
        return found.past_key_values

    @torch.inference_mode()
    def _start(self, rows: list[PromptIds], prefix: Any = None) -> State:
        """One pass over a batch of prompts, padded on the left so that the last position is real.

        After a shared prefix of P tokens, with which rows still begin, the padding stands between
        it and the rest R of a prompt; it is masked, and positions go on from the prefix.
        """
        begin = prefix.get_seq_length() if prefix is not None else 0
        rows = [row[begin:] for row in rows]
        width = max(map(len, rows))
        pads = [width - len(row) for row in rows]
        ids = self._tensor([[0] * n + list(row) for n, row in zip(pads, rows, strict=True)])
        real = self._tensor([[0] * n + [1] * (width - n) for n in pads])  # (B, R)
        if self.encoder_decoder:
            return self._start_decoder(ids, real)
        mask = torch.cat([real.new_ones(len(rows), begin), real], dim=1)  # (B, P + R)
        positions = begin + (real.cumsum(1) - 1).clamp(min=0)  # (B, R)
        cache = None
        if prefix is not None:
            cache = copy.deepcopy(prefix)
            cache.batch_repeat_interleave(len(rows))
        found = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return State(found.logits[:, -1].float(), found.past_key_values, mask, positions[:, -1:])

    def _start_decoder(self, ids: Tensor, real: Tensor) -> State:
        """An encoder reads the prompts; its decoder begins with its start token."""
        encoded = self.model.get_encoder()(input_ids=ids, attention_mask=real)
        config = self.model.config
        begin = config.decoder_start_token_id
        first = torch.full((len(ids), 1), begin, device=self.device)
        found = self.model(
            encoder_outputs=encoded, attention_mask=real, decoder_input_ids=first, use_cache=True
        )
        positions = torch.zeros_like(first)
        logits = found.logits[:, -1].float()
        return State(logits, found.past_key_values, real, positions, encoded)

    def _next(self, state: State, chosen: Tensor) -> State:
        """One token further: chosen (B,)."""
        ids, positions = chosen[:, None], state.positions + 1
        if state.encoded is not None:
            found = self.model(
                encoder_outputs=state.encoded,
                attention_mask=state.mask,
                decoder_input_ids=ids,
                past_key_values=state.cache,
                use_cache=True,
            )
            mask = state.mask
        else:
            mask = torch.cat([state.mask, torch.ones_like(ids)], dim=1)
            found = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=state.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        logits = found.logits[:, -1].float()
        return State(logits, found.past_key_values, mask, positions, state.encoded)

    @torch.inference_mode()
    def _answers(self, rows: list[PromptIds], prefix: Any, sampling: Sampling) -> list[Generation]:
        """Token by token, each row until it ends, says a stop, or reaches the limit."""
        state = self._start(rows, prefix)
        draws = [_draws(sampling, row) for row in rows]
        said: list[list[int]] = [[] for _ in rows]
        logprobs: list[list[float]] = [[] for _ in rows]
        open_rows = list(range(len(rows)))
        ended: dict[int, bool] = {}  # row → whether the limit ended it
        while open_rows:
            chosen = [
                _choose(line, draws[row], sampling.temperature)
                for row, line in zip(open_rows, state.logits, strict=True)
            ]
            normalised = state.logits.log_softmax(dim=-1)
            kept = []
            for place, (row, token) in enumerate(zip(open_rows, chosen, strict=True)):
                if token in self._ends:
                    ended[row] = False
                    continue
                said[row].append(token)
                logprobs[row].append(float(normalised[place, token]))
                if _stopped(self.tokenizer, said[row], sampling.stop):
                    ended[row] = False
                elif len(said[row]) >= sampling.max_tokens:
                    ended[row] = True
                else:
                    kept.append(place)
            if not kept:
                break
            if len(kept) < len(open_rows):
                state = state.select(torch.tensor(kept, device=self.device))
            open_rows = [open_rows[place] for place in kept]
            state = self._next(state, self._tensor([chosen[place] for place in kept]))
        return [
            self._generation(tokens, numbers, ended[row])
            for row, (tokens, numbers) in enumerate(zip(said, logprobs, strict=True))
        ]

    def _generation(self, tokens: list[int], logprobs: list[float], cut: bool) -> Generation:
        pieces = _pieces_of(self.tokenizer, tokens)
        return Generation("".join(pieces), pieces, tuple(logprobs), cut)

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, device=self.device)


def _draws(sampling: Sampling, row: PromptIds) -> torch.Generator | None:
    """Random numbers that depend on the prompt and the seed alone, not on the batch."""
    if not sampling.temperature:
        return None
    key = zlib.crc32(repr(tuple(row)).encode())
    return torch.Generator().manual_seed(key * 1_000_003 + sampling.seed)


def _choose(logits: Tensor, draws: torch.Generator | None, temperature: float) -> int:
    if draws is None:
        return int(logits.argmax())
    chances = (logits.double().cpu() / temperature).softmax(dim=-1)
    return int(torch.multinomial(chances, 1, generator=draws))


def _stopped(tokenizer: Any, tokens: Sequence[int], stop: tuple[str, ...]) -> bool:
    """Whether the last tokens say one of the stops."""
    if not stop:
        return False
    tail = tokenizer.decode(tokens[-max(map(len, stop)) - 1 :], skip_special_tokens=True)
    return any(words in tail for words in stop)


def _ends_of(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end an answer."""
    ends: set[int] = set()
    for source in (model.generation_config, model.config, tokenizer):
        found = getattr(source, "eos_token_id", None)
        listed = found if isinstance(found, list | tuple) else [found]
        ends |= {int(token) for token in listed if token is not None}
    return ends
