"""What is enqueued is what the handler gets; what would not get there is refused where it is enqueued."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID, uuid4

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Json, computed_field
from typing_extensions import TypedDict

from jobfleet import BatchItem, InvalidJob, codec, forms
from jobfleet.arguments import Arguments, ItemArguments
from jobfleet.options import JobOptions

SHELL = codec.pack_shell("job", JobOptions())


def received(function: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What the handler is called with."""
    contract = Arguments(function)
    return contract.unpack(codec.unpack_body(codec.pack_body(SHELL, contract.pack(args, kwargs))).args)


class Stamped(BaseModel):
    id: UUID = Field(default_factory=uuid4)


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    name: str


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Boat(BaseModel):
    name: str
    sails: int = 2


class Car(BaseModel):
    name: str
    wheels: int = 4


@dataclass
class Point:
    x: int
    seen: list[UUID] = field(default_factory=lambda: [uuid4()])


class Sparse(TypedDict):
    a: int
    b: NotRequired[int]


def test_a_default_that_a_model_made_up_reaches_the_handler() -> None:
    def handler(one: Stamped, many: list[Stamped], point: Point) -> None: ...

    call = {"one": Stamped(), "many": [Stamped(), Stamped()], "point": Point(1)}
    assert received(handler, **call) == call


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Cat | Dog, Dog(name="rex")),
        (Annotated[Cat | Dog, Field(discriminator="kind")], Dog(name="rex")),
        (Boat | Car, Car(name="beetle")),
        (Boat | Car, Boat(name="ark")),
    ],
)
def test_a_model_of_several_reaches_the_handler_as_itself(hint: Any, value: BaseModel) -> None:
    def handler(it: Any) -> None: ...

    handler.__annotations__["it"] = hint
    got = received(handler, it=value)["it"]
    assert type(got) is type(value)
    assert got == value


def test_what_the_call_leaves_out_is_the_handlers_own_business() -> None:
    def handler(a: int, pet: Cat | None = None, size: int = 3, sparse: Sparse | None = None) -> None: ...

    assert received(handler, 1) == {"a": 1}
    assert received(handler, 1, sparse={"a": 2}) == {"a": 1, "sparse": {"a": 2}}


def test_what_goes_by_position_and_by_name_comes_together() -> None:
    def handler(a: int, *, b: int = 0, **extra: Any) -> None: ...

    assert received(handler, 1, k=2) == {"a": 1, "k": 2}
    assert received(handler, 1, b=3, extra=5) == {"a": 1, "b": 3, "extra": 5}
    assert received(handler, a=1, k=2) == {"a": 1, "k": 2}


class TwoNames(BaseModel):
    x: int = Field(0, validation_alias="in", serialization_alias="out")


class OneName(BaseModel):
    x: int = Field(alias="xAxis")


class Colour(Enum):
    RED = "red"


class Shade(StrEnum):
    DARK = "dark"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    colour: Colour


class Derived(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int

    @computed_field  # type: ignore[prop-decorator]  # pydantic's way
    @property
    def double(self) -> int:
        return 2 * self.a


@dataclass(frozen=True)
class Key:
    x: int


@dataclass
class Tagged:
    tag: UUID | str
    more: Tagged | None = None


Doubling = Annotated[int, AfterValidator(lambda n: 2 * n)]


@pytest.mark.parametrize(
    ("hint", "value", "name", "says"),
    [
        (TwoNames, TwoNames(**{"in": 7}), "args.it", "would get {'out': 0} instead of {'out': 7}"),
        (Strict, Strict(colour=Colour.RED), "args.it.colour", "could not read what would be sent.*, not 'red'"),
        (Doubling, 2, "args.it", "would get 8 instead of 4"),
        (dict[Key, int], {Key(1): 2}, "args", "pydantic cannot write them: unhashable"),
        (UUID | str, UUID(int=1), "args.it", r"would get '0.*' instead of UUID.*; types of a union that travel alike"),
        (list[UUID | str], [UUID(int=1)], "args.it", "travel alike"),
        (set[UUID | str], {UUID(int=1)}, "args.it", "travel alike"),
        (dict[UUID | str, int], {UUID(int=1): 1}, "args.it", "travel alike"),
        (Tagged, Tagged(UUID(int=1)), "args.it", "travel alike"),
        (int | Decimal | None, Decimal(2), "args.it", "would get 2 instead of Decimal"),
        (bytes | date, date(2026, 1, 2), "args.it", "would get b'2026-01-02' instead of"),
        (set[str] | list[str], {"a"}, "args.it", r"would get \['a'\] instead of \{'a'\}"),
        (Colour | str, Colour.RED, "args.it", "would get 'red' instead of <Colour.RED"),
        (date | datetime, datetime(2026, 1, 2, tzinfo=None), "args.it", "would get datetime.date"),  # noqa: DTZ001 - likewise
    ],
)
def test_what_the_handler_would_not_get_is_refused(hint: Any, value: Any, name: str, says: str) -> None:
    def handler(it: Any) -> None: ...

    handler.__annotations__["it"] = hint
    with pytest.raises(InvalidJob, match=says) as caught:
        Arguments(handler).pack((), {"it": value})
    assert caught.value.field == name


def test_an_item_of_a_batch_is_held_to_the_same() -> None:
    def stamped(items: list[BatchItem[Stamped]]) -> None: ...
    def named(items: list[BatchItem[TwoNames]]) -> None: ...

    contract, item = ItemArguments(stamped), Stamped()
    assert contract.unpack(codec.travelled(contract.pack((item,), {}))) == {"item": item}
    with pytest.raises(InvalidJob, match="would get 0 instead of 7"):
        ItemArguments(named).pack((TwoNames(**{"in": 7}),), {})


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (OneName, OneName(xAxis=1)),
        (Derived, Derived(a=1)),
        (Json[list[int]], "[1]"),
        (Colour, Colour.RED),
        (tuple[int, str], (1, "a")),
        (Any, (1, 2)),
        (set[frozenset[int]], {frozenset({1, 2}), frozenset({3})}),
        (dict[tuple[int, int], str], {(1, 2): "a"}),
        (Literal["a", 1] | None, 1),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001 - it travels as it is
        (date, date(2026, 1, 2)),
        (time, time(3, 4, 5, 6)),
        (timedelta, timedelta(days=-3, microseconds=1)),
        (Decimal, Decimal("1.10")),
        (UUID, uuid4()),
        (dict[str, list[bytes]], {"a": [b"\0"]}),
        (UUID | str, "a"),
        (UUID | str, "00000000-0000-0000-0000-000000000001"),
        (list[UUID | str | None], ["a", None]),
        (Tagged, Tagged("a", Tagged("b"))),
        (date | timedelta, timedelta(days=1)),
        (int | bytes | list[int] | dict[str, int], [1]),
        (set[str] | list[str], ["a"]),
        (Decimal | int | None, 2),
        (set[Shade | str], {Shade.DARK, "x"}),
    ],
)
def test_what_can_be_read_back_is_sent(hint: Any, value: Any) -> None:
    def handler(it: Any) -> None: ...

    handler.__annotations__["it"] = hint
    got = received(handler, it=value)["it"]
    assert got == ([1] if hint == Json[list[int]] else [1, 2] if hint is Any else value)


def test_each_type_of_a_large_model_is_looked_into_once() -> None:
    kind: type = int
    for n in range(40):
        kind = make_dataclass(f"Level{n}", [(name, kind | None) for name in "abc"])
    assert len(list(forms._inside(kind, set()))) < 40 * 10


def test_where_anything_goes_it_arrives_as_it_travels() -> None:
    def handler(free: Any, listed: list, both: UUID | Any, told: UUID | str) -> None: ...  # type: ignore[type-arg]

    got = received(handler, free={1}, listed=[UUID(int=1)], both=UUID(int=1), told="a")
    assert got == {"free": [1], "listed": [str(UUID(int=1))], "both": str(UUID(int=1)), "told": "a"}


def test_an_item_arrives_as_what_it_was() -> None:
    def handler(items: list[BatchItem[Tagged]]) -> None: ...

    contract = ItemArguments(handler)
    assert contract.unpack(contract.pack((Tagged("a"),), {})) == {"item": Tagged("a")}
    with pytest.raises(InvalidJob, match=r"args\.tag: .* travel alike"):
        contract.pack((Tagged(UUID(int=1)),), {})


def test_no_number_is_refused_for_being_none() -> None:
    def handler(it: tuple[float, float]) -> None: ...

    assert math.isnan(received(handler, it=(math.nan, 1.0))["it"][0])
