"""The packages of the [worker] extra, which load and run models. Looked for, never imported."""

from importlib.util import find_spec

from jobs.errors import UsageError

_PACKAGES = ("torch", "transformers")


def require(who: str) -> None:
    """Raises UsageError where `who` can not do without one of them that is not installed."""
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise UsageError(f"{who} needs {package}; pip install 'gistmill[worker]'")
