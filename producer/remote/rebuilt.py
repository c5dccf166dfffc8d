"""Dataclasses from their JSON, as another version may have written it: fields that are not known
here are left out; one that is missing, or is of another kind, is an error."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from jobs.errors import NotFound

T = TypeVar("T")


def rebuilt(kind: type[T], value: Any) -> T:
    """Of JSON that `asdict` made, times as unix seconds. Raises NotFound where it does not fit."""
    return cast("T", _of(kind, value, kind.__name__))


def _of(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union(inner, value, where)
    if origin is Literal:
        return _as_it_is(value, value in inner, where)
    if origin is list:
        _as_it_is(value, isinstance(value, list), where)
        return [_of(inner[0], each, where) for each in value]
    if origin is dict:
        _as_it_is(value, isinstance(value, dict), where)
        # Keys of JSON are texts.
        return {
            inner[0](name): _of(inner[1], each, f"{where}.{name}") for name, each in value.items()
        }
    return _scalar(kind, value, where)


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    _as_it_is(value, isinstance(value, Mapping), where)
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for name in names:
        _as_it_is(value, name in value, f"{where}.{name}")
    return kind(**{name: _of(hints[name], value[name], f"{where}.{name}") for name in names})


def _union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    [kind] = [each for each in kinds if each is not types.NoneType]
    return _of(kind, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is datetime:
        return datetime.fromtimestamp(_as_it_is(value, number, where), UTC)
    if kind is float:
        return float(_as_it_is(value, number, where))
    if kind is int:
        return _as_it_is(value, number and isinstance(value, int), where)
    return _as_it_is(value, isinstance(value, kind), where)


def _as_it_is(value: Any, fits: bool, where: str) -> Any:
    if not fits:
        raise NotFound(
            f"the mill answers with something that is not understood here ({where}); install the "
            "same version of gistmill as it has"
        )
    return value
