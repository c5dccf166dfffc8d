"""What an operator can set, and the one place that reads the environment.

Flags come over the environment, the environment over gistmill.toml, the file over the
defaults below. The file is the one in the current folder, or what GISTMILL_CONFIG names;
set to nothing, that variable means no file. Which flags a command has, and what they
take, is for the command line to know.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from jobs.allowed_sources import Allowed, is_root, without_secrets
from jobs.errors import UsageError
from jobs.settings_file import SettingsFile, unknown

_FILE = "gistmill.toml"
_METRICS = "PROMETHEUS_MULTIPROC_DIR"


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
    webhook_timeout: PositiveFloat = 10.0
    """How long the receiver of a webhook may take to answer."""
    webhook_first: PositiveFloat = 5.0
    """How long after the first try a webhook is sent again; each wait is four times the last."""
    webhook_longest: PositiveFloat = 14_400.0
    webhook_tries: PositiveInt = 12
    """Within 22 hours, with the waits as they are."""
    services_start: PositiveFloat = 60.0
    services_linger: PositiveFloat = 3.0
    """How long embedded services outlive their last client."""


def default_home() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "gistmill"


def _listed(example: str) -> Callable[[Any], Any]:
    """Makes of a variable's text the list that it is."""

    def listed(given: Any) -> Any:
        try:
            return json.loads(given) if isinstance(given, str) else given
        except ValueError:
            raise ValueError(f"not JSON; write it as in '{example}'") from None

    return listed


def _are_sources(given: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for each in given or ():
        if not is_root(each):
            raise ValueError(
                f"{without_secrets(each)!r} is neither an absolute folder nor a URL with a host, "
                "and without user name, query, .. and the like"
            )
    return given


def _is_root(given: str) -> str:
    if not is_root(given):
        raise ValueError(f"{without_secrets(given)!r} is neither an absolute folder nor a URL")
    return given


# Not decoded by pydantic-settings, which says of bad JSON only that it is.
AllowedSources = Annotated[
    tuple[str, ...] | None,
    NoDecode,
    BeforeValidator(_listed('["/data", "s3://corpus/"]')),
    AfterValidator(_are_sources),
]


def _are_networks(given: tuple[str, ...]) -> tuple[str, ...]:
    for each in given:
        try:
            ip_network(each)
        except ValueError:
            raise ValueError(f"{each!r} is no network; write one as in 10.0.0.0/8") from None
    return given


Networks = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_listed('["10.0.0.0/8"]')),
    AfterValidator(_are_networks),
]


class Settings(BaseSettings):
    """What two users would set differently. `database_url` and `broker_url` left unset
    mean the embedded services under `home`."""

    model_config = SettingsConfigDict(env_prefix="GISTMILL_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    database_url: str | None = None
    broker_url: str | None = None
    url: str | None = None
    """Of a mill's HTTP API, which is asked instead of the database; None is this machine's mill."""
    token: SecretStr | None = None
    """What that mill knows us by."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto` is for people where the log goes to a terminal, JSON elsewhere."""
    allow_insecure: bool = False
    """Servers on other machines are taken without password, TLS or a checked certificate."""
    allowed_sources: AllowedSources = None
    """Folders, and beginnings of URLs, below which documents may lie; None is anywhere."""
    uploads: Annotated[str, AfterValidator(_is_root)] | None = None
    """Where files lie that were uploaded over HTTP: a folder that all workers have, or a URL
    such as s3://bucket/uploads; None is `uploads` under the home."""
    max_upload_bytes: PositiveInt = 10 * 2**30
    """The largest file that is taken over HTTP."""
    webhook_networks: Networks = ()
    """Private networks whose addresses webhooks may be sent to; public ones always may."""
    timings: Timings = Timings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, SettingsFile(settings_cls, file())

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, given: dict[str, Any]) -> dict[str, Any]:
        """`GISTMILL_BROKER_URL=` is unset, whatever the file says."""
        return {name: value for name, value in given.items() if value != ""}

    @property
    def here(self) -> Self:
        """The same, of this machine's own mill."""
        return self.model_copy(update={"url": None, "token": None})

    @property
    def uploads_root(self) -> str:
        """Where uploads lie, set or not."""
        return self.uploads or str(self.home / "uploads")

    @property
    def allowed(self) -> Allowed:
        """What may be read for jobs."""
        return Allowed(self.allowed_sources, self.uploads_root)


class WorkerProcess(BaseSettings):
    """What a worker's parent process tells its pool child, which shares nothing else with it.

    Its prefix is not GISTMILL_WORKER_: those are the flags of `gistmill worker`.
    """

    model_config = SettingsConfigDict(env_prefix="GISTMILL_CHILD_", frozen=True)

    KEYS: ClassVar[tuple[str, ...]] = ("name", "device", "drain_file")

    name: str
    device: str
    drain_file: Path
    """Exists once the worker has been asked to stop."""
    metrics: Path | None = None
    """The folder for its numbers; None where nobody serves them."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody wrote it, and where it stands."""

    value: Any
    place: str


def file() -> Path | None:
    """The file of settings, if there is one. Raises UsageError where the named one is missing."""
    named = os.environ.get("GISTMILL_CONFIG")
    if named == "":
        return None
    path = Path(named or _FILE).expanduser().absolute()
    if path.is_file():
        return path
    if named:
        raise UsageError(f"GISTMILL_CONFIG: there is no file {path}; name another, or unset it")
    return None


def load() -> Settings:
    """Raises UsageError, in one line, for a value that can not be used."""
    try:
        settings = Settings()
    except SettingsError:  # the timings alone are parsed before they are checked
        example = """GISTMILL_TIMINGS='{"lease": 60}'"""
        raise UsageError(f"GISTMILL_TIMINGS is not JSON; write it as in {example}") from None
    except ValidationError as error:
        raise UsageError(_explain(error)) from None
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def origin(*key: str) -> str:
    """Where a setting comes from: a variable's name, the file's path, or "default"."""
    if _holds(EnvSettingsSource(Settings)(), key):
        return f"GISTMILL_{key[0].upper()}"
    source = SettingsFile(Settings, file())
    return str(source.path) if _holds(source(), key) else "default"


def commands(known: Iterable[str]) -> list[str]:
    """Those commands that have a default for a flag in the file or, it seems, the environment.

    Raises UsageError for a table of the file that is named for none of the `known`. That of a
    command of two words is [first.second].
    """
    known = list(known)
    source = SettingsFile(Settings, file())
    firsts = dict.fromkeys(name.split()[0] for name in known)
    for name, table in source.tables().items():
        if name not in firsts:
            raise UsageError(f"{source.path}: {unknown('table', name, ['timings', *firsts])}")
        seconds = [each.partition(" ")[2] for each in known if each.startswith(f"{name} ")]
        for second in table if seconds else ():
            if second not in seconds:
                where = f"{source.path}: [{name}]"
                raise UsageError(f"{where}: {unknown('table', second, seconds)}")
    return [name for name in known if _table(source, name) or _in_environment(name)]


def flags(command: str, known: Iterable[str]) -> dict[str, Given]:
    """What a command's flags are where they are not given, by name.

    Raises UsageError for one in the file that is not `known`. In the environment such a
    one may be somebody else's: Kubernetes sets variables named for its services.
    """
    known = list(known)
    source = SettingsFile(Settings, file())
    table = _table(source, command)
    place = f"{source.path}: [{command.replace(' ', '.')}]"
    for flag in table:
        if flag not in known:
            raise UsageError(f"{place}: {unknown('flag', flag, known)}")
    given = {flag: Given(value, place) for flag, value in table.items()}
    for flag in known:
        if value := os.environ.get(_variable(command, flag)):
            given[flag] = Given(value, _variable(command, flag))
    return given


def tell_children(settings: Settings, process: WorkerProcess) -> None:
    """Pool children of this process inherit its environment, now with exactly these."""
    told = {f"GISTMILL_CHILD_{key.upper()}": str(getattr(process, key)) for key in process.KEYS}
    os.environ.update({**_exactly(settings), **told})
    # Read by prometheus_client when a child imports it.
    os.environ.pop(_METRICS, None)
    if process.metrics is not None:
        os.environ[_METRICS] = str(process.metrics)


def child_environment(settings: Settings, **more: str) -> dict[str, str]:
    """The environment for a process of ours: as it is here, with exactly `settings`."""
    return {**os.environ, **_exactly(settings), **more}


def colour_wanted() -> bool:
    """https://no-color.org: any value of NO_COLOR means no."""
    return not os.environ.get("NO_COLOR")


def _exactly(settings: Settings) -> dict[str, str]:
    """The variables that give these settings in whatever folder: no file is read. Processes of
    ours are of the mill: they ask none over HTTP."""
    return {
        "GISTMILL_CONFIG": "",
        "GISTMILL_HOME": str(settings.home),
        "GISTMILL_DATABASE_URL": settings.database_url or "",
        "GISTMILL_BROKER_URL": settings.broker_url or "",
        "GISTMILL_URL": "",
        "GISTMILL_TOKEN": "",
        "GISTMILL_LOG_FORMAT": settings.log_format,
        "GISTMILL_ALLOW_INSECURE": str(settings.allow_insecure),
        "GISTMILL_ALLOWED_SOURCES": json.dumps(settings.allowed_sources),
        "GISTMILL_UPLOADS": settings.uploads or "",
        "GISTMILL_MAX_UPLOAD_BYTES": str(settings.max_upload_bytes),
        "GISTMILL_WEBHOOK_NETWORKS": json.dumps(settings.webhook_networks),
        "GISTMILL_TIMINGS": settings.timings.model_dump_json(),
    }


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    key = [str(part) for part in first["loc"]]
    where = origin(*key)
    if first["type"] == "extra_forbidden":
        return f"{where}: {unknown('timing', key[-1], Timings.model_fields)}"
    # A URL's value is never said: a password may stand in it.
    secret = key[0].endswith("url") or key[0] == "token" or "@" in repr(first["input"])
    got = "" if secret else f" (got {first['input']!r})"
    return f"{where}: {'.'.join(key)}: {first['msg'].removeprefix('Value error, ')}{got}"


def _holds(given: Any, key: tuple[str, ...]) -> bool:
    for part in key:
        if not isinstance(given, dict) or part not in given:
            return False
        given = given[part]
    return True


def _table(source: SettingsFile, command: str) -> dict[str, Any]:
    """Of a command of two words, the table in the first one's table."""
    table: Any = source.tables()
    for word in command.split():
        table = table.get(word, {})
        if not isinstance(table, dict):
            raise UsageError(f"{source.path}: {command.replace(' ', '.')}: write it as a table")
    found: dict[str, Any] = table
    return found


def _in_environment(command: str) -> bool:
    return any(name.startswith(_variable(command, "")) for name in os.environ)


def _variable(command: str, flag: str) -> str:
    return f"GISTMILL_{command}_{flag}".upper().replace("-", "_").replace(" ", "_")
