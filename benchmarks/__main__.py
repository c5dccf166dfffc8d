"""Runs one benchmark, or all that are there, one after the other.

    python -m benchmarks [NAME] [options of NAME]
    python -m benchmarks --quick

A benchmark is a module here with a `main` that takes its arguments.
"""

import importlib
import importlib.util
import sys

NAMES = ("engines", "jobs", "mill", "planning", "evaluate", "status", "refill", "profile")


def main(arguments: list[str]) -> None:
    found = [name for name in NAMES if importlib.util.find_spec(f"benchmarks.{name}")]
    if arguments and not arguments[0].startswith("-"):
        name, *rest = arguments
        if name not in found:
            sys.exit(f"benchmarks: there is no {name!r}; there are {', '.join(found)}")
        _run(name, rest)
    elif {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\nThere are: {', '.join(found)}. Each has a --help of its own.")
    else:
        for name in found:
            _run(name, arguments)


def _run(name: str, arguments: list[str]) -> None:
    importlib.import_module(f"benchmarks.{name}").main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
