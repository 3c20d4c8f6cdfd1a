"""The cases of the table: what is asked, what goes wrong meanwhile, and what the user must get to see."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from .contract import CITY, EMPTY_NOTE, NOTE, ZONE, Adapter, At, Call, Note, Used
from .gateway import POOR, USER, Gateway
from .table import PROVIDERS

PREAMBLE = 6
"""So many events into a stream, every dialect has sent some of the text and none all of it."""

ERRORS = {
    "openai": "The server had an error",
    "anthropic": "Overloaded",
    "gemini": "The model is overloaded",
    "bedrock": "The model produced an error",
    "cohere": "internal server error",
}
"""What the simulated provider says in a stream that fails, as each vendor does."""
OVERLOADED = ("anthropic", "gemini")
"""Those whose error is that they have too much to do, which some SDKs have another class for."""


@dataclass
class Cell:
    gateway: Gateway
    sdk: Adapter
    provider: str
    prompt: str

    def at(self, model: str, **changes: object) -> At:
        return At(self.gateway.url, USER, model).with_(**changes)

    @property
    def works(self) -> At:
        return self.at(f"{self.provider}/{PROVIDERS[self.provider]}")

    @property
    def retries(self) -> int:
        """As many as the SDK would make by itself, where the gateway can tell it not to."""
        return 2 if self.sdk.honours_should_retry else 0

    def fault(self, model: str, **effect: object) -> None:
        self.gateway.provider.faults({"match": {"model": model}, "do": effect})

    def refused(self, case: str, at: At, ask: Callable[[At, str], object] | None = None) -> BaseException:
        """What the user's own `except` gets."""
        names = [f"{case}, {self.provider}", f"{case}, overloaded" if self.provider in OVERLOADED else "", case]
        expected = next(self.sdk.failures[name] for name in names if name in self.sdk.failures)
        with pytest.raises(expected.kind) as raised:
            (ask or self.sdk.plain)(at, self.prompt)
        assert type(raised.value) is expected.kind, f"{type(raised.value).__mro__}"
        assert (status := self.sdk.status(raised.value)) == expected.status, f"{status}: {raised.value!r}"
        return raised.value

    def breaks_off(self, case: str, at: At) -> BaseException:
        """What came before the failure is there, and then it is told."""
        pieces: list[str] = []

        def collect(at: At, prompt: str) -> None:
            for piece in self.sdk.stream(at, prompt):
                pieces.append(piece)

        error = self.refused(case, at, collect)
        text = "".join(pieces)
        assert text and f"echo: {self.prompt}".startswith(text) and len(text) < len(self.prompt), f"{pieces}"
        return error


def plain(cell: Cell) -> None:
    assert cell.sdk.plain(cell.works, cell.prompt) == f"echo: {cell.prompt}"


def stream(cell: Cell) -> None:
    pieces = [piece for piece in cell.sdk.stream(cell.works, cell.prompt) if piece]
    assert "".join(pieces) == f"echo: {cell.prompt}"
    assert len(pieces) > 3, "in pieces, as it was produced"


def tools(cell: Cell) -> None:
    calls = cell.sdk.tools(cell.works, 'call weather {"city":"Bern"} clock {"zone":"CET"}')
    assert calls == [Call(name="weather", arguments=CITY), Call(name="clock", arguments=ZONE)]


def structured(cell: Cell) -> None:
    # Some SDKs ask for an answer that fits a schema, others have a tool called, by one of these names. Tools get their
    # arguments from the prompt.
    document = Note(**NOTE).model_dump_json()
    note = cell.sdk.structured(cell.works, f"call Note {document} final_result {document} json_tool_call {document}")
    assert note in (Note(**NOTE), Note(**EMPTY_NOTE))


def usage(cell: Cell) -> None:
    def billed() -> Used:
        bill = cell.gateway.provider.bill()
        return Used(bill["prompt_tokens"], bill["completion_tokens"])

    assert cell.sdk.usage(cell.works, cell.prompt) == billed()
    cell.gateway.provider.reset()
    assert cell.sdk.stream_usage(cell.works, cell.prompt) == billed()


def wrong_key(cell: Cell) -> None:
    error = cell.refused("401", cell.works.with_(key="sk-wrong", retries=cell.retries))
    assert "key" in str(error)
    assert cell.gateway.arrived() == 0


def no_such_model(cell: Cell) -> None:
    error = cell.refused("404", cell.at("no-such-model", retries=cell.retries))
    assert "no-such-model" in str(error)


def rate_limited(cell: Cell) -> None:
    cell.fault("full", status=429, retry_after_ms=50)
    cell.refused("429", cell.at(f"{cell.provider}-once/full"))


def budget(cell: Cell) -> None:
    before = cell.gateway.denied()
    error = cell.refused("budget", cell.works.with_(key=POOR, retries=cell.retries))
    assert "budget of key `poor`" in str(error)
    assert cell.gateway.denied() == before + 1, "asked once: a retry cannot help"
    assert cell.gateway.arrived() == 0


def cut(cell: Cell) -> None:
    cell.fault("cut", cut_after_events=PREAMBLE)
    cell.breaks_off("cut", cell.at(f"{cell.provider}/cut"))


def mid_stream(cell: Cell) -> None:
    cell.fault("broken", error_event_after=PREAMBLE)
    error = cell.breaks_off("mid-stream", cell.at(f"{cell.provider}/broken"))
    assert ERRORS[cell.provider] in str(error), "what the provider says of it"


def second(cell: Cell) -> None:
    """With another target nobody notices; without one it is an error as if there had been no stream."""
    # Gemini's first event carries text already.
    sound = 0 if cell.provider == "gemini" else 1
    cell.fault("second", error_event_after=sound)
    pieces = cell.sdk.stream(cell.at(f"second-{cell.provider}"), cell.prompt)
    assert "".join(pieces) == f"echo: {cell.prompt}"
    assert set(cell.gateway.provider.bill()["by_model"]) == {"second", "spare"}

    cell.fault("second-alone", error_event_after=sound)
    alone = cell.at(f"{cell.provider}-once/second-alone", retries=cell.retries)
    cell.refused("second", alone, lambda at, prompt: list(cell.sdk.stream(at, prompt)))


def timeout(cell: Cell) -> None:
    cell.fault("hang", hang=True)
    cell.refused("timeout", cell.at(f"{cell.provider}-once/hang", retries=cell.retries))
    assert cell.gateway.arrived() == 1, "asked once: the gateway has made the retries there are"


CASES: dict[str, Callable[[Cell], None]] = {
    "plain": plain,
    "stream": stream,
    "tools": tools,
    "structured": structured,
    "usage": usage,
    "401": wrong_key,
    "404": no_such_model,
    "429": rate_limited,
    "budget": budget,
    "cut": cut,
    "mid-stream": mid_stream,
    "second": second,
    "timeout": timeout,
}
"""In the table's order."""
REFUSED = ("401", "404", "budget")
"""By the gateway itself: whichever provider there is, it is not asked."""
