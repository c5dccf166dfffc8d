"""The mill here and one over HTTP offer what `producer.mill.Mill` lists, in the same words."""

from inspect import getmembers, isfunction, signature

import pytest

from producer.local import LocalMill
from producer.mill import Mill
from producer.remote.mill import RemoteMill

METHODS = {name: found for name, found in getmembers(Mill, isfunction) if not name.startswith("_")}


@pytest.mark.parametrize("kind", [LocalMill, RemoteMill])
@pytest.mark.parametrize("name", METHODS)
def test_the_same_methods(kind: type, name: str) -> None:
    def parameters(function: object) -> list[tuple[str, object, object]]:
        found = signature(function).parameters.values()  # type: ignore[arg-type]  # a function
        return [(each.name, each.kind, each.default) for each in found]

    assert parameters(getattr(kind, name)) == parameters(METHODS[name])


def test_nothing_more_over_http() -> None:
    assert {name for name in vars(RemoteMill) if not name.startswith("_")} == METHODS.keys()
