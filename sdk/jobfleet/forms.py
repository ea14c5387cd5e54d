"""Which annotations can be read back from what is sent of their values, and in which unions members look alike there.

MessagePack has forms of its own for few types; dates, numbers of any length and ids travel as text, sets as lists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

_NATIVE: Final = frozenset((NoneType, bool, int, float, str, bytes))
_AS_TEXT: Final = frozenset((date, datetime, time, timedelta, Decimal, UUID))
_STEADY: Final = _NATIVE | _AS_TEXT | {Any, list, dict}
_ARRAYS: Final = (list, set, frozenset, tuple)
_UNIONS: Final = (Union, UnionType)


def is_steady(hint: Any) -> bool:
    """Whether every value of that type can be read back; of models and the like, each value must show it.

    >>> is_steady(list[str] | None), is_steady(dict[str, range]), is_steady(UUID | str)
    (True, False, False)
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is None:
        return hint in _STEADY
    if origin is Literal:
        return all(type(value) in _STEADY for value in parts)
    if origin is dict:
        return parts[0] is str and is_steady(parts[1])
    if origin in _UNIONS and not _told_apart(parts):
        return False
    return origin in (list, set, frozenset, *_UNIONS) and all(map(is_steady, parts))


def may_change(hint: Any) -> bool:
    """Whether a value may arrive as one of another type of its union, and only so.

    Where anything goes (``Any``, a bare ``list``, types that are not known here), nothing is promised.

    >>> may_change(UUID | str), may_change(UUID | None), may_change(list[UUID | str]), may_change(dict[str, Any] | list)
    (True, False, True, False)
    """
    inside = list(_inside(hint, set()))
    return any(get_origin(part) in _UNIONS and not _told_apart(get_args(part)) for part in inside) and not any(
        map(_is_open, inside)
    )


def alike(sent: Any, arrived: Any) -> bool:
    """Whether a value is of the type that was sent, with all that is in it. A subclass travels as what it is based on.

    >>> alike([1, "a"], [1, "b"]), alike({"a": UUID(int=1)}, {"a": str(UUID(int=1))}), alike({1}, [1])
    (True, False, False)
    """
    if not isinstance(arrived, type(sent)) and not isinstance(sent, type(arrived)):
        return False
    if isinstance(sent, dict):
        return alike([*sent, *sent.values()], [*arrived, *arrived.values()])
    if isinstance(sent, set | frozenset):
        found = {one: one for one in arrived}
        return all(one in found and alike(one, found[one]) for one in sent)
    return not isinstance(sent, list | tuple) or all(map(alike, sent, arrived))


def _told_apart(members: Sequence[Any]) -> bool:
    """Whether what is sent shows which of them it is."""
    forms = [_form(member) for member in members if member is not NoneType]
    return len(forms) == 1 or (None not in forms and len(set(forms)) == len(forms))


def _form(hint: Any) -> type | None:
    """As what a value of that type travels; None: as text, or it is not known."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _form(parts[0])
    if origin is Literal:
        kinds = {type(value) for value in parts}
        return kinds.pop() if len(kinds) == 1 and kinds <= _NATIVE else None
    kind = origin or hint
    if kind in _ARRAYS:
        return list
    return dict if kind is dict or has_fields(kind) else kind if kind in _NATIVE else None


def _inside(hint: Any, seen: set[int]) -> Iterator[Any]:
    """A type with all types in it, also of the fields of models; into each of these it looks once."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        hint, parts = parts[0], get_args(parts[0])
        origin = get_origin(hint)
    yield hint
    if origin is None and has_fields(hint) and id(hint) not in seen:
        seen.add(id(hint))
        parts = tuple(_fields(hint))
    for part in parts if origin is not Literal else ():
        yield from _inside(part, seen)


def has_fields(kind: Any) -> bool:
    """Whether it is a dataclass, a pydantic model or a TypedDict."""
    return dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields") or hasattr(kind, "__total__")


def _fields(kind: Any) -> Iterator[Any]:
    """The types of the fields of a model, a dataclass or a TypedDict."""
    if hasattr(kind, "model_fields"):
        return (field.annotation for field in kind.model_fields.values())
    try:
        return iter(get_type_hints(kind).values())
    except NameError:  # what cannot be resolved here
        return iter((Any,))


def _is_open(hint: Any) -> bool:
    """Whether values of any type may be in it, or of types that are not known here."""
    origin = get_origin(hint)
    if origin is not None:
        return origin not in (Literal, dict, *_ARRAYS, *_UNIONS)
    if hint in _NATIVE or hint in _AS_TEXT or hint is ... or has_fields(hint):
        return False
    return not (isinstance(hint, type) and issubclass(hint, Enum))
