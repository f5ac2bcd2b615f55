"""What /metrics shows, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = (64, 256, 1024, 2048, 4096, 8192, 16384, 65536)


class Metrics:
    """Counters of one server, apart from those of any other in the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter(
            "polyrank_requests", "Answers.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "polyrank_request_seconds", "From the first byte of a request to its answer.",
            ("route",), buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.pairs = Counter("polyrank_pairs", "Pairs scored.", registry=registry)
        self.tokens = Counter("polyrank_tokens", "Tokens read by models.", registry=registry)
        self.busy = Counter(
            "polyrank_model_seconds", "Seconds in which a model ran.", registry=registry
        )
        self.steps = Histogram(
            "polyrank_step_tokens", "Tokens that models were given at a time.", buckets=SIZES,
            registry=registry,
        )  # fmt: skip
        self.refused = Counter("polyrank_refused", "Requests over the bound.", registry=registry)
        self.waiting = Gauge("polyrank_queue_requests", "Not finished.", registry=registry)
        self.queued = Gauge("polyrank_queue_tokens", "Of these requests.", registry=registry)
        self.dropped = Gauge(
            "polyrank_dropped_pairs", "Whose connections had closed.", registry=registry
        )

    def step(self, pairs: int, tokens: int, seconds: float) -> None:
        """Count a step of the queue."""
        self.pairs.inc(pairs)
        self.tokens.inc(tokens)
        self.busy.inc(seconds)
        self.steps.observe(tokens)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
