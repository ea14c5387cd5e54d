"""A handler's parameters as a contract: checked by pydantic where the job is made and again where it runs.

pydantic is imported when the first handler is declared, not with the package: a service that only looks on does not
pay.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_type_hints

from jobfleet.errors import ConfigurationError, InvalidJob

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Arguments:
    """What one handler takes.

    Raises:
        ConfigurationError: a parameter has no name to send a value under (``*args``, positional-only), or a type that
            pydantic does not know.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        from pydantic import ConfigDict, create_model  # noqa: PLC0415 - see the module's docstring

        self._signature = inspect.signature(function)
        where = f"handler {function.__qualname__}"
        try:
            hints = get_type_hints(function, include_extras=True)
        except NameError as error:
            raise ConfigurationError(f"{where}: the annotation of a parameter cannot be resolved: {error}") from error
        fields: dict[str, Any] = {}
        extra = False
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                extra = True
            elif parameter.kind not in _NAMED:
                raise ConfigurationError(f"{where}: parameter {parameter} must have a name to be sent under")
            else:
                default = ... if parameter.default is inspect.Parameter.empty else parameter.default
                fields[f"p_{name}"] = (hints.get(name, Any), _field(name, default))
        config = ConfigDict(extra="allow" if extra else "forbid", protected_namespaces=())
        try:
            self._model: type[BaseModel] = create_model("Arguments", __config__=config, **fields)
        except Exception as error:
            raise ConfigurationError(f"{where}: pydantic does not take its parameters: {error}") from error

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The call's arguments by name, checked and in a form that travels.

        Raises:
            InvalidJob: one is missing, unknown or wrong; ``args.<name>`` says which.
        """
        if args:
            try:
                kwargs = self._signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise InvalidJob("args", str(error)) from error
        model = self._checked(kwargs)
        return model.model_dump(by_alias=True, exclude_unset=True)

    def unpack(self, sent: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments for the handler, from what :meth:`pack` made.

        Raises:
            InvalidJob: they do not fit this handler (any more).
        """
        model = self._checked(sent)
        values = {name[2:]: getattr(model, name) for name in type(model).model_fields}
        return {**values, **(model.model_extra or {})}

    def _checked(self, values: dict[str, Any]) -> BaseModel:
        from pydantic import ValidationError  # noqa: PLC0415

        try:
            return self._model.model_validate(values)
        except ValidationError as error:
            raise _first_problem(error) from error


def _field(name: str, default: Any) -> Any:
    from pydantic import Field  # noqa: PLC0415

    return Field(default, alias=name)


def _first_problem(error: ValidationError) -> InvalidJob:
    problems = error.errors(include_url=False)
    first = problems[0]
    field = ".".join(str(part) for part in ("args", *first["loc"]))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    got = "" if first["type"] == "missing" else f", not {first['input']!r:.80}"
    return InvalidJob(field, f"{first['msg']}{got}{more}")
