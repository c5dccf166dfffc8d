"""Validating: resolve model, revision and effective parameters, and see that the source reads.

One message does all waiting jobs of a model. A job that can not be done fails
here, before any of its documents is touched; the worker lives on.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jobs import logs
from jobs.database import Database
from jobs.errors import DatabaseUnreachable, GistmillError, JobError, TransientError
from jobs.job import ModelKey, Validation
from jobs.parameters import Effective, Parameters
from jobs.settings import Timings
from jobs.sources import Sources
from jobs.store import validations
from worker import dry_run, models, outages, samples
from worker.choice import choose
from worker.engines import DeviceLost
from worker.forecasting import Forecaster
from worker.heartbeat import Heartbeat
from worker.leases import defect, retry_pause

log = logs.get("validation")

# A job is refused once so many workers died while they looked at its model.
_DEATHS = 3

# Shards of a sample, spread evenly over the job, and documents of each: of a dry run, and of a
# job whose forecast is all that it is for.
_DRY_RUN = {"shards": 8, "documents": 256}
_FORECAST = {"shards": 2, "documents": 32}


@dataclass(frozen=True, slots=True)
class _Settled:
    """How a job will be done."""

    key: ModelKey
    effective: Effective
    fallback: str | None
    """Why not by the fastest engine, where it is not."""
    forecast: dict[str, Any] | None
    """How long it will take, where that is known."""
    report: dict[str, Any] | None
    """What a dry run found."""


class Validator:
    """Settles how jobs will be done, on this worker's device."""

    def __init__(
        self,
        *,
        database: Database,
        heartbeat: Heartbeat,
        home: Path,
        device: str,
        worker: str,
        timings: Timings,
        sources: Sources,
    ) -> None:
        self._database = database
        self._heartbeat = heartbeat
        self._home = home
        self._device = device
        self._worker = worker
        self._timings = timings
        self._sources = sources
        self._forecaster = Forecaster(database, timings)

    def validate(self, job_id: str) -> None:
        """Validate the job that a message names, then all others of its model that wait."""
        while not self._heartbeat.draining:
            with self._database.transaction() as tx:
                validation = validations.lease(tx, job_id, self._worker, self._timings.lease)
            if validation is None:
                return
            with logs.about(job=validation.job_id, attempt=validation.attempt):
                self._validate_or_hand_back(validation)

    def _validate_or_hand_back(self, validation: Validation) -> None:
        try:
            self._validate(validation)
        except DatabaseUnreachable as error:
            outages.hand_back(
                lambda: self._hand_back(validation),
                error,
                self._timings,
                gives_up=lambda: self._heartbeat.draining,
            )

    def _validate(self, validation: Validation) -> None:
        renew = partial(validations.renew, validation=validation, seconds=self._timings.lease)
        hand_back = partial(validations.hand_back, validation=validation)
        deadline = self._heartbeat.deadline(self._timings.load_deadline)
        try:
            # Let go before the lease is given up, or a renewal would find it lost.
            with self._heartbeat.holding(renew, hand_back), deadline:
                settled = self._settle(validation)
        except JobError as error:
            self._refuse(validation, error)
        except TransientError as error:
            self._try_later(validation, error)
        except (GistmillError, MemoryError, DeviceLost):
            raise
        except Exception as error:
            log.exception("a defect")
            self._try_later(validation, defect(error))
        else:
            self._keep(validation, settled)

    def _keep(self, validation: Validation, settled: _Settled) -> None:
        how = settled.key, settled.effective, settled.fallback, settled.forecast
        with self._database.transaction() as tx:
            if settled.report is None:
                validations.start(tx, validation, *how)
            else:
                validations.report(tx, validation, *how, settled.report)
        why = {"fallback": settled.fallback} if settled.fallback else {}
        log.info("job is valid", model=settled.key.model, engine=settled.key.engine, **why)

    def _settle(self, validation: Validation) -> _Settled:
        """What the job is done with; of a dry run also what it found."""
        if validation.deaths >= _DEATHS:
            raise JobError(
                "worker_died", f"{validation.deaths} workers died while they looked at the model"
            )
        self._sources.check(validation.source)
        requested = validation.requested
        resolved = models.resolve(validation.model, self._home)
        parameters = Parameters(**requested["parameters"])
        alone = requested.get("only_chat") and resolved.kind != "decoder-only"
        effective = models.settle(resolved, parameters, None if alone else requested["prompt"])
        asked = requested["engine"], requested["dtype"]
        chosen = choose(resolved, effective, *asked, self._device)
        key = ModelKey(validation.model, resolved.revision, chosen.engine, chosen.dtype)
        sample = partial(
            samples.take, self._database, validation.job_id, resolved, effective, self._sources
        )
        looked = sample(**_DRY_RUN) if validation.dry_run else None
        forecast = self._forecaster.forecast(
            validation, key, effective, look=partial(sample, **_FORECAST), looked=looked
        )
        found = None
        if looked is not None:
            found = dry_run.report(validation, resolved, effective, looked)
        return _Settled(key, effective, chosen.fallback, forecast, found)

    def _hand_back(self, validation: Validation) -> None:
        with self._database.transaction() as tx:
            validations.hand_back(tx, validation)

    def _refuse(self, validation: Validation, error: JobError) -> None:
        log.error("job fails", error=error)
        with self._database.transaction() as tx:
            validations.refuse(tx, validation, error.code, error.message)

    def _try_later(self, validation: Validation, error: TransientError) -> None:
        if validation.tries + 1 >= self._timings.tries:
            self._refuse(validation, JobError(error.code, error.message))
            return
        pause = retry_pause(self._timings, validation.tries)
        log.warning("could not be done; tried again", error=error, seconds=round(pause, 1))
        with self._database.transaction() as tx:
            validations.try_later(tx, validation, pause, error.code, error.message)
