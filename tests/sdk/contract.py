"""What every SDK is asked to do, in the table's own words."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import BaseModel


@dataclass(frozen=True)
class At:
    """Where, as whom and for which model a client asks."""

    gateway: str
    key: str
    model: str
    retries: int = 0
    """Of the SDK itself, where it has any."""

    def with_(self, **changes: object) -> "At":
        return replace(self, **changes)


class Call(BaseModel):
    """A tool's call as the user's code gets it."""

    name: str
    arguments: dict


class Note(BaseModel):
    """What structured output is asked for."""

    title: str
    kind: Literal["memo", "letter"]
    pages: int


@dataclass(frozen=True)
class Used:
    prompt: int
    completion: int


class Told(Exception):
    """Stands for a failure that the SDK does not raise but shows in what it returns."""


@dataclass(frozen=True)
class Failure:
    """What the user gets to see of a failure."""

    kind: type[BaseException]
    """This class, not one above or below it."""
    status: int | str | None = None
    """As the SDK tells it; `None`: it tells none."""


CITY = {"city": "Bern"}
ZONE = {"zone": "CET"}
TOOLS = {
    "weather": ("The weather in a city", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
    "clock": ("The time in a zone", {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}),
}
NOTE = {"title": "Minutes", "kind": "memo", "pages": 3}
EMPTY_NOTE = {"title": "", "kind": "memo", "pages": 0}
"""The smallest answer to the schema, as the simulated provider gives it."""
PATIENCE = 20
"""Seconds; no cell comes near."""


class Adapter:
    """One SDK. What it returns and raises is the SDK's own, but for the names of the fields."""

    provider: ClassVar[str]
    """The provider whose dialect the SDK speaks."""
    failures: ClassVar[dict[str, Failure]]
    """By case; with `, overloaded` behind it where the provider has too much to do and the SDK has another class or status
    for that, with the provider's name where the SDK goes by the provider's words."""
    honours_should_retry: ClassVar[bool] = False
    """Whether it reads `x-should-retry`, so that with retries of its own it must still ask only once."""

    def plain(self, at: At, prompt: str) -> str:
        raise NotImplementedError

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        """The pieces of text as they come."""
        raise NotImplementedError

    def tools(self, at: At, prompt: str) -> list[Call]:
        """Streams, with `TOOLS`."""
        raise NotImplementedError

    def structured(self, at: At, prompt: str) -> Note:
        raise NotImplementedError

    def usage(self, at: At, prompt: str) -> Used:
        raise NotImplementedError

    def stream_usage(self, at: At, prompt: str) -> Used:
        """Of a stream, asked for in the SDK's own way where it has one."""
        raise NotImplementedError

    def status(self, error: BaseException) -> int | str | None:
        return getattr(error, "status_code", None)


def one_a_gateway(make: Callable) -> Callable:
    """Clients are costly to make (certificates), so one is kept for each address, key and number of retries."""
    made = functools.lru_cache(maxsize=64)(make)

    @functools.wraps(make)
    def client(at: At):
        return made(at.with_(model=""))

    return client
