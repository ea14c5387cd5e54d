"""What a handler needs and nobody sends: declared in its annotations, made by the worker.

::

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    @fleet.job(queue="photos")
    def process_photo(photo_id: str, session: Annotated[Session, Depends(get_session)] = injected) -> None: ...

The default ``injected`` is for type checkers: it lets ``process_photo.enqueue(photo_id="1")`` pass. It may be left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from jobfleet.errors import ConfigurationError

Lifetime = Literal["job", "worker"]


class _Injected:
    def __repr__(self) -> str:
        return "injected"


injected: Final[Any] = _Injected()
"""The default of a parameter that the worker fills in."""


@dataclass(frozen=True, slots=True)
class Depends:
    """Marks a parameter: its value is what ``function`` returns, or yields; after the job a generator is run out.

    Attributes:
        function: sync or async, also an object that can be called; its own parameters may have ``Depends`` or defaults.
            ``current_job()`` works in it.
        lifetime: ``job``: made for each job that needs it, once; ``worker``: made once, for as long as the worker lives
            (in a job of ``run_in="process"``: as long as its process).
    """

    function: Callable[..., Any]
    lifetime: Lifetime = "job"


@dataclass(frozen=True)
class Need:
    """A value to be made. Two are the same if their function and lifetime are.

    Attributes:
        form: how ``function`` gives its value.
        waits: whether it, or what it needs, must be awaited.
    """

    function: Callable[..., Any]
    lifetime: Lifetime
    form: Literal["plain", "awaitable", "generator", "async generator"] = field(compare=False)
    needs: Mapping[str, Need] = field(compare=False)
    waits: bool = field(compare=False)


def needs_of(function: Callable[..., Any]) -> dict[str, Need]:
    """The parameters of a handler that are to be injected.

    Raises:
        ConfigurationError: a dependency has a parameter that nobody fills in, or they go in a circle.
    """
    return _needs(function, (), {})


def _needs(
    function: Callable[..., Any], above: tuple[Callable[..., Any], ...], known: dict[Depends, Need]
) -> dict[str, Need]:
    found = {}
    hints = _hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if isinstance(parameter.default, Depends):
            raise ConfigurationError(
                f"{_name(function)}: parameter {name!r} has Depends as its default; "
                f"write {name}: Annotated[..., Depends(...)]"
            )
        mark = _mark(hints.get(name))
        if mark is not None:
            found[name] = _need(mark, above, known)
        elif above and parameter.default is parameter.empty and parameter.kind not in _COLLECTING:
            raise ConfigurationError(
                f"dependency {_name(function)}: parameter {name!r} must be Annotated[..., Depends(...)] or have a "
                "default; for the job's arguments call current_job()"
            )
    return found


_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _need(mark: Depends, above: tuple[Callable[..., Any], ...], known: dict[Depends, Need]) -> Need:
    if mark in known:
        return known[mark]
    function = mark.function
    if not callable(function):
        raise ConfigurationError(f"Depends({function!r}): give a function that makes the value")
    if mark.lifetime not in ("job", "worker"):
        raise ConfigurationError(f"Depends({_name(function)}, lifetime={mark.lifetime!r}): use 'job' or 'worker'")
    if function in above:
        circle = " → ".join(_name(f) for f in (*above[above.index(function) :], function))
        raise ConfigurationError(f"dependencies go in a circle: {circle}")
    needs = _needs(function, (*above, function), known)
    for need in needs.values():
        if mark.lifetime == "worker" and need.lifetime == "job":
            raise ConfigurationError(
                f"dependency {_name(function)} lives as long as the worker and cannot need {_name(need.function)}, "
                "which is made for each job; give both one lifetime"
            )
    form = _form(function)
    waits = form in ("awaitable", "async generator") or any(need.waits for need in needs.values())
    known[mark] = Need(function, mark.lifetime, form, needs, waits)
    return known[mark]


def _mark(hint: Any) -> Depends | None:
    if get_origin(hint) is Annotated:
        return next((mark for mark in get_args(hint)[1:] if isinstance(mark, Depends)), None)
    return None


def _form(function: Callable[..., Any]) -> Literal["plain", "awaitable", "generator", "async generator"]:
    called: Any = function
    if not (inspect.isroutine(function) or isinstance(function, type | partial)):
        called = type(function).__call__
    if inspect.isasyncgenfunction(called):
        return "async generator"
    if inspect.isgeneratorfunction(called):
        return "generator"
    return "awaitable" if inspect.iscoroutinefunction(called) else "plain"


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    annotated: Any = function
    if isinstance(function, type):
        annotated = function.__init__  # type: ignore[misc]  # a class is called by its __init__'s parameters
    elif not hasattr(function, "__annotations__"):
        annotated = getattr(function, "func", None) or type(function).__call__
    try:
        return get_type_hints(annotated, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"{_name(function)}: the annotation of a parameter cannot be resolved: {error}"
        ) from error


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
