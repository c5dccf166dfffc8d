"""How long a job will take, said while it is validated: from a few of its documents' lengths,
and from what others took that this model has done here.

Costs no more than a small job is worth: one of a few documents that are done whole is not
looked into, and what is known of a model is asked for once a second, however many jobs are
validated.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import ceil
from time import monotonic
from typing import Any

from jobs.database import Database
from jobs.errors import UsageError
from jobs.forecasts import Load, Range, Speed, device_seconds, wall_seconds
from jobs.job import ModelKey, Validation
from jobs.parameters import Effective
from jobs.settings import Timings
from jobs.store import clock, speeds, summaries, workers
from jobs.windows import RunWindow
from worker import same_text
from worker.samples import Sampled

# A job of fewer documents is not looked into, unless they are done in parts: one may be a book.
_WORTH_A_LOOK = 64
# What is known of a model is asked again after so many seconds, and for each dry run.
_KNOWN_FOR = 1.0
# Documents of a job's first shards, where it does not say.
_FIRST_SHARDS = 8

Look = Callable[[], Sampled]
"""Takes the sample."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was done by a model, as of `at` by the database's clock, `since` by ours."""

    of: tuple[ModelKey, str]
    since: float
    speed: Speed | None
    workers: int
    at: datetime


class Forecaster:
    """Forecasts of jobs, one after the other."""

    def __init__(self, database: Database, timings: Timings) -> None:
        self._database = database
        self._timings = timings
        self._known: _Known | None = None

    def forecast(
        self,
        validation: Validation,
        key: ModelKey,
        effective: Effective,
        *,
        look: Look,
        looked: Sampled | None = None,
    ) -> dict[str, Any] | None:
        """As JSON: `seconds` (null where the job's hours mean nothing here) and `device_hours`,
        each as `low` and `high`; and what they rest on: on how many `documents`, whether with
        the `same_parameters`, and for how many `workers`.

        None where this model has done nothing here. Raises what `look` does.
        """
        if validation.dry_run:
            self._known = None
        known = self._what_is_known(key, effective)
        if known.speed is None:
            return None
        in_parts = effective.long_documents == "map-reduce"
        if looked is None and (in_parts or validation.total >= _WORTH_A_LOOK):
            looked = look()
        load = _load(validation, effective, looked)
        if looked is not None and validation.requested.get("reuse", True):
            load = replace(
                load, documents=load.documents * self._share_left(key, effective, looked)
            )
        work = device_seconds(known.speed, load)
        wall = _wall(validation, work, load, known)
        return {
            "seconds": None if wall is None else asdict(wall),
            "device_hours": asdict(work.times(1 / 3600, 1 / 3600)),
            "documents": known.speed.documents,
            "same_parameters": known.speed.same_parameters,
            "workers": known.workers,
        }

    def _share_left(self, key: ModelKey, effective: Effective, looked: Sampled) -> float:
        """Of the documents that can be used, those whose summary is not there already."""
        if not looked.lengths or not same_text.always_the_same(effective):
            return 1.0
        digests = same_text.Digests(key, effective)
        texts = {digests.of(text) for text in looked.texts}
        with self._database.transaction() as tx:
            stored = summaries.same(tx, texts)
        return (len(texts) - len(stored)) / len(looked.lengths)

    def _what_is_known(self, key: ModelKey, effective: Effective) -> _Known:
        of = (key, effective.model_dump_json(exclude={"seed"}))
        known = self._known
        if known is None or known.of != of or monotonic() - known.since > _KNOWN_FOR:
            with self._database.transaction() as tx:
                speed = speeds.of(tx, key, effective)
                # At least the worker that asks.
                alive = max(1, workers.alive_for(tx, key, self._timings.alive))
                at = clock.read(tx)
            known = self._known = _Known(of, monotonic(), speed, alive, at)
        return known


def _load(validation: Validation, effective: Effective, looked: Sampled | None) -> Load:
    if looked is None or not looked.documents:
        size = min(validation.shard_size, _FIRST_SHARDS)
        return Load(validation.total, ceil(validation.total / size), [])
    usable = len(looked.lengths) / len(looked.documents)
    return Load(validation.total * usable, looked.shards, looked.read_lengths(effective))


def _wall(validation: Validation, work: Range, load: Load, known: _Known) -> Range | None:
    asked = validation.run_window
    try:
        window = None if asked is None else RunWindow.parse(asked)
    except UsageError:  # a time zone that only the submitter's machine knows
        return None
    return wall_seconds(work, load, known.workers, window, known.at)
