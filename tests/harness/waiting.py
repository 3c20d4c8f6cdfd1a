"""Polling with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Late(AssertionError):
    """What was waited for did not come in time."""


def until(what: str, probe: Callable[[], T], seconds: float, every: float = 0.05) -> T:
    """The first truthy answer of `probe`; an exception in it counts as not yet."""
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            answer = probe()
            if answer:
                return answer
            last = answer
        except Exception as error:  # any failure of the probe means: not yet
            last = error
        if time.monotonic() >= deadline:
            raise Late(f"{what}: not within {seconds} s; last: {last!r}")
        time.sleep(every)
