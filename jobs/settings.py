"""What an operator can set, and the one place that reads the environment.

Flags come over the environment, the environment over the defaults below.
"""

import os
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.errors import UsageError


class Timings(BaseModel):
    """Every waiting time in gistmill, in seconds; tests shorten them.

    `GISTMILL_TIMINGS='{"lease": 5}'` replaces single values.
    """

    model_config = {"frozen": True, "extra": "forbid"}

    dispatch_interval: PositiveFloat = 1.0
    resend_after: PositiveFloat = 30.0
    """A shard whose message is older than this may have lost it."""
    lease: PositiveFloat = 60.0
    heartbeat: PositiveFloat = 15.0
    """How often leases are renewed and workers say that they live."""
    alive: PositiveFloat = 60.0
    """A worker or dispatcher seen within this time counts as alive."""
    slice: PositiveFloat = 60.0
    batch_deadline: PositiveFloat = 600.0
    load_deadline: PositiveFloat = 1800.0
    drain: PositiveFloat = 15.0
    retry_first: PositiveFloat = 5.0
    retry_longest: PositiveFloat = 300.0
    tries: PositiveInt = 5
    task_limit: PositiveInt = 3600
    visibility: PositiveInt = 7200
    poll: PositiveFloat = 0.5
    """How often someone who waits for a job looks at it."""
    outage: PositiveFloat = 60.0
    """For how long someone who waits for a job waits for a database that is down."""
    services_start: PositiveFloat = 60.0
    services_linger: PositiveFloat = 3.0
    """How long embedded services outlive their last client."""


def default_home() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "gistmill"


class Settings(BaseSettings):
    """What two users would set differently. `database_url` and `broker_url` left unset
    mean the embedded services under `home`."""

    model_config = SettingsConfigDict(env_prefix="GISTMILL_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    database_url: str | None = None
    broker_url: str | None = None
    timings: Timings = Timings()


class WorkerProcess(BaseSettings):
    """What a worker's parent process tells its pool child, which shares nothing else with it."""

    model_config = SettingsConfigDict(env_prefix="GISTMILL_WORKER_", frozen=True)

    KEYS: ClassVar[tuple[str, ...]] = ("name", "device", "drain_file")

    name: str
    device: str
    drain_file: Path
    """Exists once the worker has been asked to stop."""


def load() -> Settings:
    """Raises UsageError, in one line, for a value that can not be used."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "GISTMILL_" + "__".join(str(part).upper() for part in first["loc"])
        raise UsageError(f"{name}: {first['msg']} (got {first['input']!r})") from None
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def tell_children(process: WorkerProcess) -> None:
    for key in WorkerProcess.KEYS:
        os.environ[f"GISTMILL_WORKER_{key.upper()}"] = str(getattr(process, key))


def child_environment(settings: Settings, **more: str) -> dict[str, str]:
    """The environment for a process of ours: as it is here, with exactly `settings`."""
    exact = {
        "GISTMILL_HOME": str(settings.home),
        "GISTMILL_DATABASE_URL": settings.database_url,
        "GISTMILL_BROKER_URL": settings.broker_url,
        "GISTMILL_TIMINGS": settings.timings.model_dump_json(),
    }
    others = {name: value for name, value in os.environ.items() if name not in exact}
    return {**others, **{name: value for name, value in exact.items() if value}, **more}


def colour_wanted() -> bool:
    """https://no-color.org: any value of NO_COLOR means no."""
    return not os.environ.get("NO_COLOR")
