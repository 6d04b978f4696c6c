"""Checks payloads against the shapes of their types, both ways.

A shape is a text (`s` string, `n` number, `i` integer, `u` integer of 0 and more, `b` boolean, `*` anything, `@Name` the
definition of that name), a dictionary of fields (`name?` may be absent), or a tuple: `("=", …)` one of these constants,
`("?", shape)` or null, `("|", …)` one of these shapes, `("[]", shape, least, most)` a list, `("{}", shape)` a dictionary
with any keys. Fields that a shape does not name are fine: within `anita.v1` a newer server may send more.

The shapes come from the server's own schema; each is made a function once, which is several times as fast as a general
validator of JSON Schema, and needs no further package.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .payload_shapes import DEFINITIONS, PAYLOADS


class Misfit(NamedTuple):
    """What keeps a value from having a shape."""

    path: str
    """`location.x`, `devices[3].kind`; empty for the value itself."""
    expected: str

    def __str__(self) -> str:
        return f"{self.path or 'payload'}: expected {self.expected}"


Check = Callable[[Any], Misfit | None]


def check(type: str, payload: Any) -> Misfit | None:
    """The first misfit of a payload; none for a type that is not of the protocol."""
    name = PAYLOADS.get(type)
    return _defined(name)(payload) if name else None


@functools.cache
def _defined(name: str) -> Check:
    return _compile(DEFINITIONS[name])


def _compile(shape: Any) -> Check:
    if isinstance(shape, dict):
        return _fields(shape)
    if isinstance(shape, str):
        return _later(shape[1:]) if shape.startswith("@") else _SIMPLE[shape]
    match shape:
        case ("=", *constants):
            return _simple(lambda value: isinstance(value, str) and value in constants, " or ".join(constants))
        case ("?", inner):
            fits = _compile(inner)
            return lambda value: None if value is None else fits(value)
        case ("|", *branches):
            return _any_of([_compile(each) for each in branches])
        case ("[]", inner, least, most):
            return _list(_compile(inner), least, math.inf if most is None else most)
        case ("{}", inner):
            return _dictionary(_compile(inner))
    raise ValueError(f"no shape: {shape!r}")


def _later(name: str) -> Check:
    """A definition is made when it is first needed: one may hold itself."""
    return lambda value: _defined(name)(value)


def _simple(fits: Callable[[Any], bool], expected: str) -> Check:
    misfit = Misfit("", expected)
    return lambda value: None if fits(value) else misfit


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


_SIMPLE: dict[str, Check] = {
    "s": _simple(lambda value: isinstance(value, str), "a string"),
    "n": _simple(_is_number, "a number"),
    "i": _simple(_is_integer, "an integer"),
    "u": _simple(lambda value: _is_integer(value) and value >= 0, "an integer of 0 or more"),
    "b": _simple(lambda value: isinstance(value, bool), "a boolean"),
    "*": lambda value: None,
}


def _fields(shape: dict[str, Any]) -> Check:
    fields = [(name.removesuffix("?"), name.endswith("?"), _compile(inner)) for name, inner in shape.items()]

    def fits(value: Any) -> Misfit | None:
        if not isinstance(value, Mapping):
            return Misfit("", "an object")
        for name, is_optional, inner in fields:
            if name in value:
                if misfit := inner(value[name]):
                    return _within(name, misfit)
            elif not is_optional:
                return Misfit(name, "to be there")
        return None

    return fits


def _any_of(branches: list[Check]) -> Check:
    def fits(value: Any) -> Misfit | None:
        misfits = [misfit for branch in branches if (misfit := branch(value))]
        # The branch that came farthest says most.
        return max(misfits, key=_depth) if len(misfits) == len(branches) else None

    return fits


def _depth(misfit: Misfit) -> int:
    return (misfit.path.count(".") + misfit.path.count("[")) * 2 + (misfit.expected != "to be there")


def _list(inner: Check, least: int, most: float) -> Check:
    def fits(value: Any) -> Misfit | None:
        if not isinstance(value, list | tuple):
            return Misfit("", "a list")
        if not least <= len(value) <= most:
            return Misfit("", f"{least} to {most} items")
        for index, each in enumerate(value):
            if misfit := inner(each):
                return _within(f"[{index}]", misfit)
        return None

    return fits


def _dictionary(inner: Check) -> Check:
    def fits(value: Any) -> Misfit | None:
        if not isinstance(value, Mapping):
            return Misfit("", "an object")
        for name, each in value.items():
            if misfit := inner(each):
                return _within(name, misfit)
        return None

    return fits


def _within(name: str, misfit: Misfit) -> Misfit:
    separator = "" if not misfit.path or misfit.path.startswith("[") else "."
    return Misfit(f"{name}{separator}{misfit.path}", misfit.expected)
