"""What fsspec has for a scheme of URLs, its settings, and its errors as one of our own."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from jobs.allowed_sources import Allowed
from jobs.errors import GistmillError

# Seconds for a server to answer, and between one part of an answer and the next.
_CONNECT = 10
_READ = 60
_TRIES = 3

# What to install, where it is not what the module is called.
_PACKAGES = {
    "s3": "'gistmill[s3]'", "s3a": "'gistmill[s3]'",
    "http": "'gistmill[http]'", "https": "'gistmill[http]'", "gs": "gcsfs",
    "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "adl": "adlfs", "sftp": "paramiko",
    "ssh": "paramiko", "oss": "ossfs",
}  # fmt: skip

# What waiting does not mend.
_LASTING = (
    FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError,
    TypeError, NotImplementedError,
)  # fmt: skip
_REFUSED = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "InvalidURL"}
_UNAVAILABLE = {408, 425, 429}


class Trouble(Exception):
    """A store or its driver does not do what is asked. The message is one line."""

    def __init__(self, message: str, *, may_pass: bool, driver: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.driver = driver
        """Whether it is missing."""


@contextmanager
def trouble() -> Iterator[None]:
    """Around calls of drivers alone: each has errors of its own, of any class."""
    try:
        yield
    except (Trouble, GistmillError):
        raise
    except Exception as error:
        # Whatever HTTP's driver meets, it says that there is no such file.
        root = error.__cause__ if isinstance(error, FileNotFoundError) else None
        if isinstance(root, GistmillError):
            raise root from None
        raise _told(root or error) from error


def filesystem(url: str, allowed: Allowed) -> Any:
    """fsspec's, with which files of such a URL are found and opened. Raises Trouble."""
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        return _http(allowed)
    return _other(scheme)


def _other(scheme: str) -> Any:
    import fsspec

    settings: dict[str, Any] = {}
    if scheme in ("s3", "s3a"):
        retries = {"mode": "standard", "max_attempts": _TRIES}
        times = {"connect_timeout": _CONNECT, "read_timeout": _READ}
        settings = {"config_kwargs": {**times, "retries": retries}}
    with installed(scheme):
        return fsspec.filesystem(scheme, **settings)


@lru_cache(maxsize=2)
def _http(allowed: Allowed) -> Any:
    """One for each setting: it keeps its connections."""
    with installed("https"):
        import aiohttp
        import yarl
        from fsspec.implementations.http import HTTPFileSystem

    async def redirected(_: Any, __: Any, about: aiohttp.TraceRequestRedirectParams) -> None:
        location = about.response.headers.get("Location", "")
        allowed.check_url(str(about.url.join(yarl.URL(location))))

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(redirected)
    return HTTPFileSystem(
        client_kwargs={
            "trace_configs": [tracing],
            # Proxies, and passwords of a netrc file.
            "trust_env": True,
            "timeout": aiohttp.ClientTimeout(sock_connect=_CONNECT, sock_read=_READ),
        },
        # Ranges are of what the server has, not of what it makes of that on the way.
        headers={"Accept-Encoding": "identity"},
    )


@contextmanager
def installed(scheme: str) -> Iterator[None]:
    """Around what imports a driver. Raises Trouble that says how to get it."""
    try:
        yield
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        how = f"pip install {package}" if package else str(error)
        raise Trouble(f"{scheme}:// needs a driver: {how}", may_pass=False, driver=True) from None
    except ValueError:
        message = f"nothing is known of {scheme}://"
        raise Trouble(message, may_pass=False, driver=True) from None


def _told(error: BaseException) -> Trouble:
    lasting = isinstance(error, _LASTING) or type(error).__name__ in _REFUSED
    may_pass = not lasting
    if status := _status(error):
        may_pass = status >= 500 or status in _UNAVAILABLE
    return Trouble(_line(error), may_pass=may_pass)


def _status(error: BaseException) -> int | None:
    """That the server answered with, of what aiohttp and botocore raise."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        about = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        status = about.get("HTTPStatusCode", getattr(each, "status", None))
        if isinstance(status, int):
            return status
    return None


def _line(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(status := getattr(error, "status", None), int):
        return f"{status} {getattr(error, 'message', '')}".strip()
    return next(iter(str(error).splitlines()), "") or type(error).__name__
