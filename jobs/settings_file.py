"""gistmill.toml as a source of settings: read, and checked for names that mean nothing.

```toml
home = "mill"                # beside this file, unless absolute
broker_url = "rediss://:password@host:6379/0"
log_format = "json"          # or "console"; without it, as fits where the log goes
allowed_sources = ["/data"]  # folders, and beginnings of URLs, below which documents may lie
uploads = "s3://mill/uploads"  # where files lie that were uploaded over HTTP
max_upload_bytes = 1_000_000_000

[timings]
lease = 120

[submit]                     # what `gistmill submit` takes where a flag is not given
model = "lead-3"
shard-size = 64
```

Keep it to yourself (chmod 600) where a URL holds a password. What the values must be,
the settings and the commands know.
"""

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, TomlConfigSettingsSource

from jobs.errors import UsageError


class SettingsFile(TomlConfigSettingsSource):
    """The settings in the file at `path`, and the tables named for commands; without a file, none.

    Raises UsageError where it can not be read, and for a setting that there is not.
    """

    def __init__(self, settings_cls: type[BaseSettings], path: Path | None) -> None:
        self.path = path
        super().__init__(settings_cls, path)

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        try:
            return super()._read_file(file_path)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file_path} is not TOML: {error}") from None
        except OSError as error:
            raise UsageError(f"{file_path} can not be read: {error.strerror}") from None

    def __call__(self) -> dict[str, Any]:
        known = self.settings_cls.model_fields
        for key, value in self.toml_data.items():
            if key not in known and not isinstance(value, dict):
                raise UsageError(f"{self.path}: {unknown('setting', key, known)}")
        given = {key: value for key, value in self.toml_data.items() if key in known}
        if self.path and isinstance(home := given.get("home"), str):
            given["home"] = self.path.parent / Path(home).expanduser()
        return given

    def tables(self) -> dict[str, dict[str, Any]]:
        """What is not a setting: a table for each command whose flags have defaults here."""
        known = self.settings_cls.model_fields
        tables = self.toml_data.items()
        return {key: value for key, value in tables if key not in known and isinstance(value, dict)}


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """There is no such thing; and which one was meant, or which there are."""
    known = list(known)
    close = get_close_matches(name.lower(), known, n=1)
    mend = f"do you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
    return f"no {what} {name!r}; {mend}"
