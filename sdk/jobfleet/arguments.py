"""A handler's parameters as a contract: checked by pydantic where the job is made and again where it runs.

pydantic is imported when the first handler is declared, not with the package: a service that only looks on does not
pay.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol, cast, get_args, get_origin, get_type_hints

from jobfleet import codec
from jobfleet.batch import BatchItem
from jobfleet.errors import ConfigurationError, InvalidJob
from jobfleet.forms import alike, has_fields, is_steady, may_change

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_REMEDY = (
    "let its type read what it writes: one alias for both ways, validators that leave alone what they have made, "
    "strict only for what is not sent as text"
)
_REMEDY_OF_UNION = (
    "types of a union that travel alike, as text or as a list, cannot be told apart: annotate with one of them, "
    "or give a value of that one"
)


class Contract(Protocol):
    """What one handler takes."""

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The call's arguments by name, checked and in a form that travels.

        All fields of models are sent, also those at their defaults: the handler gets what was enqueued. Parameters
        that the call leaves out are not sent: their defaults are the handler's.

        Raises:
            InvalidJob: one is missing, unknown or wrong, or could not be read where the handler runs; ``args.<name>``
                says which.
        """

    def unpack(self, sent: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments for the handler, from what :meth:`pack` made.

        Raises:
            InvalidJob: they do not fit this handler (any more).
        """


class Arguments:
    """The parameters of a function; those in ``injected`` are the worker's business and cannot be sent.

    Raises:
        ConfigurationError: a parameter has no name to send a value under (``*args``, positional-only), or a type that
            pydantic does not know.
    """

    def __init__(self, function: Callable[..., Any], injected: Collection[str] = ()) -> None:
        from typing import NotRequired  # noqa: PLC0415 - pydantic's own

        from pydantic import ConfigDict  # noqa: PLC0415 - see the module's docstring
        from typing_extensions import TypedDict  # noqa: PLC0415 - pydantic's own

        self._signature = inspect.signature(function)
        self._injected = frozenset(injected)
        where = f"handler {function.__qualname__}"
        hints = _hints(function)
        fields: dict[str, Any] = {}
        self._steady = True
        self._changing: set[str] = set()
        self._extra = ""
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                self._extra = name
            elif parameter.kind not in _NAMED:
                raise ConfigurationError(f"{where}: parameter {parameter} must have a name to be sent under")
            elif name not in self._injected:
                hint = hints.get(name, Any)
                self._steady &= is_steady(hint)
                if may_change(hint):
                    self._changing.add(name)
                fields[name] = hint if parameter.default is inspect.Parameter.empty else NotRequired[hint]
        typed_dict: Any = TypedDict  # its fields are known at run time only
        shape = typed_dict("Arguments", fields)
        shape.__pydantic_config__ = ConfigDict(extra="allow" if self._extra else "forbid")
        self._takes_none = not fields and not self._extra
        adapter = _adapter(shape, where)
        self._check: Callable[[Any], dict[str, Any]] = adapter.validator.validate_python
        self._dump = adapter.serializer.to_python

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Contract`."""
        if args:
            try:
                kwargs = self._signature.bind_partial(*args, **kwargs).arguments
            except TypeError as error:
                raise InvalidJob("args", str(error)) from error
            if self._extra:
                kwargs |= kwargs.pop(self._extra, {})  # bound under the name of **extra, sent under their own
        if self._injected and (sent := self._injected & kwargs.keys()):
            raise InvalidJob(f"args.{min(sent)}", "the worker fills this in (Depends); it is not sent")
        checked = _checked(self._check, kwargs)
        try:
            packed: dict[str, Any] = self._dump(checked, by_alias=True, round_trip=True)
        except (TypeError, ValueError) as error:
            raise _unsendable(error) from error
        if not self._steady:
            _prove(packed, self._check, self._dump, self._changing)
        return packed

    def unpack(self, sent: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Contract`."""
        if self._takes_none and not sent:
            return sent
        checked: dict[str, Any] = _checked(self._check, sent)
        if self._injected:
            for name in self._injected & checked.keys():  # only where **kwargs takes everything
                del checked[name]
        return checked


class ItemArguments:
    """The fields of ``T`` in a batch handler's ``list[BatchItem[T]]``.

    Raises:
        ConfigurationError: the handler has not exactly one such parameter, or ``T`` has no named fields.
    """

    ITEM = "item"
    """The key under which :meth:`unpack` gives the item."""

    def __init__(self, function: Callable[..., Any], injected: Collection[str] = ()) -> None:
        where = f"batch handler {function.__qualname__}"
        hints = _hints(function)
        names = [name for name in inspect.signature(function).parameters if name not in injected]
        item = _item_type(hints.get(names[0])) if len(names) == 1 else None
        if item is None:
            raise ConfigurationError(f"{where}: give it one parameter, of type list[BatchItem[T]]")
        if not has_fields(item):
            raise ConfigurationError(
                f"{where}: {item!r} must have named fields: a dataclass, a pydantic model or a TypedDict"
            )
        self.parameter = names[0]
        self._changing = may_change(item)
        adapter = _adapter(item, where)
        self._check: Callable[[Any], Any] = adapter.validator.validate_python
        self._dump = adapter.serializer.to_python

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Contract`; takes one ``T``, or its fields by name."""
        if len(args) > 1 or (args and kwargs):
            raise InvalidJob("args", "give one item, or its fields by name")
        checked = _checked(self._check, args[0] if args else kwargs)
        try:
            packed: dict[str, Any] = self._dump(checked, by_alias=True, round_trip=True)
        except (TypeError, ValueError) as error:
            raise _unsendable(error) from error
        _prove(packed, self._check, self._dump, packed if self._changing else ())
        return packed

    def unpack(self, sent: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Contract`; the item is under :data:`ITEM`."""
        return {self.ITEM: _checked(self._check, sent)}


def _item_type(hint: Any) -> Any:
    if get_origin(hint) is not list:
        return None
    (inner,) = get_args(hint)
    return get_args(inner)[0] if get_origin(inner) is BatchItem else None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"handler {function.__qualname__}: the annotation of a parameter cannot be resolved: {error}"
        ) from error


def _adapter(shape: Any, where: str) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415

    try:
        return TypeAdapter(shape)
    except Exception as error:
        raise ConfigurationError(f"{where}: pydantic does not take its parameters: {error}") from error


def _checked(check: Callable[[Any], Any], values: Any) -> Any:
    try:
        return check(values)
    except ValueError as error:  # pydantic's ValidationError is one; to name it, pydantic would have to be imported
        if not hasattr(error, "errors"):
            raise
        field, problem = _first_problem(cast("ValidationError", error))
        raise InvalidJob(field, problem) from error


def _unsendable(error: Exception) -> InvalidJob:
    return InvalidJob("args", f"pydantic cannot write them: {error}; use types that it can, with text for keys")


def _prove(
    packed: dict[str, Any], check: Callable[[Any], Any], dump: Callable[..., Any], changing: Collection[str]
) -> None:
    """See to it that the handler will get what ``packed`` holds: there, the job would fail for good or be another.

    Of those in ``changing``, it must be of the same type, too.
    """
    try:
        got = check(codec.travelled(packed))
    except ValueError as error:
        if not hasattr(error, "errors"):
            raise
        field, problem = _first_problem(cast("ValidationError", error))
        raise InvalidJob(field, f"the handler could not read what would be sent: {problem}; {_REMEDY}") from error
    again = dump(got, by_alias=True, round_trip=True)
    if again == packed and not changing:
        return
    for name, value in packed.items():
        arrived = again.get(name)
        same = name not in changing or alike(value, arrived)
        # Else compared as sent: a tuple may be a list by now, and NaN is never equal.
        if not same or (arrived != value and codec.pack_result(arrived) != codec.pack_result(value)):
            problem = f"the handler would get {arrived!r:.80} instead of {value!r:.80}"
            raise InvalidJob(f"args.{name}", f"{problem}; {_REMEDY_OF_UNION if name in changing else _REMEDY}")


def _first_problem(error: ValidationError) -> tuple[str, str]:
    problems = error.errors(include_url=False)
    first = problems[0]
    field = ".".join(str(part) for part in ("args", *first["loc"]))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    got = "" if first["type"] == "missing" else f", not {first['input']!r:.80}"
    return field, f"{first['msg']}{got}{more}"
