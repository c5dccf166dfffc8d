"""What a pool child counts of its work, as Prometheus wants it.

Where the parent serves `/metrics` (`worker.serving`) the numbers lie in files that it reads, so
that a child's death loses none; elsewhere they stay in this process and nobody reads them.
Labels are few: the models that this worker loads, the error codes of docs/errors.md, its device.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from jobs.job import ModelKey, Portion, Row
from worker import device_memory

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 600)
_LOADING = (1, 3, 10, 30, 100, 300, 1000, 1800)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# How often the device is looked at, at most: not at each of a thousand small batches.
_LOOK = 1.0
_PREFIX = "gistmill_worker_"


class Metrics:
    """Made once in a process, by the child: what `app.child` works with."""

    def __init__(self, device: str = "cpu") -> None:
        self.registry = CollectorRegistry()
        self._device = device
        self._loaded: ModelKey | None = None
        self._looks_again = 0.0
        self._documents = self._counter(
            "documents",
            "Documents stored: completed, reused (completed without the model) or failed.",
            "model",
            "outcome",
        )
        self._failures = self._counter(
            "failed_documents", "Documents stored as failed, by error code.", "model", "code"
        )
        self._input = self._counter(
            "input_tokens", "Input tokens of stored documents that the model read.", "model"
        )
        self._output = self._counter(
            "output_tokens", "Output tokens of stored documents that the model wrote.", "model"
        )
        self._generating = self._histogram(
            "generating_seconds", "Seconds that the model took for a batch.", _SECONDS, "model"
        )
        self._waiting = self._counter(
            "waiting_seconds", "Seconds that a loaded model had nothing to do in a task.", "model"
        )
        self._fill = self._histogram(
            "batch_fill_ratio", "The share of what bounds a batch that it filled.", _SHARES, "model"
        )
        self._batched = self._counter(
            "batched_tokens", "Input tokens that went through the model, padding included.", "model"
        )
        self._padding = self._counter(
            "padding_tokens", "Of the batched tokens, those of padding.", "model"
        )
        self._loading = self._histogram(
            "model_load_seconds", "Seconds that a model took to load.", _LOADING, "model"
        )
        self._model = self._gauge(
            "model_loaded",
            "1 for the model that is loaded; 0 for one that was.",
            "model",
            "revision",
            "engine",
            "dtype",
        )
        self._losses = self._counter(
            "leases_lost", "Leases that were found lost when they were to be renewed."
        )
        self._dropped = self._counter(
            "portions_dropped", "Batches' parts that were not stored, since the lease was lost."
        )
        self._retries = self._counter(
            "retries", "Shards put off because of an error that may pass, by its code.", "code"
        )
        self._memory = self._gauge(
            "device_memory_bytes",
            "Memory of a GPU, as torch knows it: allocated, reserved, total.",
            "device",
            "kind",
        )
        self._resident = self._gauge(
            "child_resident_bytes", "Memory of the process that runs the model."
        )
        self._utilization = self._gauge(
            "device_utilization_ratio", "How busy a GPU is, where pynvml can tell.", "device"
        )

    def loaded(self, key: ModelKey, seconds: float) -> None:
        if self._loaded is not None:
            self._model.labels(*_labels(self._loaded)).set(0)
        self._loaded = key
        self._model.labels(*_labels(key)).set(1)
        self._loading.labels(key.model).observe(seconds)

    def batched(self, model: str, portions: Sequence[Portion]) -> None:
        """A batch went through the model; its portions have their shares of what it took."""
        spent = [portion.batching for portion in portions]
        if share := sum(each.batches for each in spent):
            self._fill.labels(model).observe(sum(each.batch_fill for each in spent) / share)
            self._generating.labels(model).observe(sum(each.generating_seconds for each in spent))
        self._waiting.labels(model).inc(sum(each.waiting_seconds for each in spent))
        self._batched.labels(model).inc(sum(each.batched_tokens for each in spent))
        self._padding.labels(model).inc(sum(each.padding_tokens for each in spent))
        self._look_at_device()

    def stored(self, model: str, rows: Iterable[Row]) -> None:
        """Rows that were stored now, and not before."""
        outcomes: Tally[str] = Tally()
        codes: Tally[str] = Tally()
        read = written = 0
        for row in rows:
            if row.error_code is not None:
                codes[row.error_code] += 1
            outcomes[_outcome(row)] += 1
            if not row.reused:
                read += row.input_tokens
                written += row.output_tokens
        for outcome, count in outcomes.items():
            self._documents.labels(model, outcome).inc(count)
        for code, count in codes.items():
            self._failures.labels(model, code).inc(count)
        self._input.labels(model).inc(read)
        self._output.labels(model).inc(written)

    def lease_lost(self) -> None:
        self._losses.inc()

    def dropped(self) -> None:
        self._dropped.inc()

    def retried(self, code: str) -> None:
        self._retries.labels(code).inc()

    def _look_at_device(self) -> None:
        now = monotonic()
        if now < self._looks_again:
            return
        self._looks_again = now + _LOOK
        self._resident.set(device_memory.resident())
        for kind, amount in device_memory.of(self._device).items():
            self._memory.labels(self._device, kind).set(amount)
        if (busy := device_memory.utilization(self._device)) is not None:
            self._utilization.labels(self._device).set(busy)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(_PREFIX + name, says, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        """Gone with the process that set it."""
        return Gauge(
            _PREFIX + name,
            says,
            labels,
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )


def _labels(key: ModelKey) -> tuple[str, str, str, str]:
    return key.model, key.revision, key.engine, key.dtype or ""


def _outcome(row: Row) -> str:
    if row.error_code is not None:
        return "failed"
    return "reused" if row.reused else "completed"
