"""Streams are relayed event by event, as they come."""

import httpx
import pytest

from harness import sse, waiting
from harness.demo import Demo

SLOW = {"model": "demo/slow", "stream": True, "messages": [{"role": "user", "content": "Take your time."}]}


@pytest.mark.parametrize("where", ["front", "node"])
def test_the_first_event_arrives_well_before_the_last(demo: Demo, http: httpx.Client, where: str) -> None:
    url = demo.front if where == "front" else demo.nodes[0].http
    stream = sse.read(http, f"{url}/v1/chat/completions", SLOW, {"Authorization": f"Bearer {demo.key}"})
    stream.assert_whole()
    arrivals = [e.at for e in stream.events]
    assert arrivals[-1] > 0.5, "demo/slow takes about a second"
    assert arrivals[-1] - arrivals[0] > 0.3, arrivals
    # Buffered, they would come in one or two lumps.
    moments = sum(1 for before, after in zip(arrivals, arrivals[1:]) if after - before > 0.005)
    assert moments >= 5, arrivals


def test_each_event_arrives_about_as_soon_as_the_provider_sends_it(demo: Demo, http: httpx.Client) -> None:
    direct_body = {**SLOW, "model": "slow"}
    headers = {"Authorization": f"Bearer {demo.key}"}
    through = sse.read(http, f"{demo.nodes[0].http}/v1/chat/completions", SLOW, headers)
    direct = sse.read(http, f"{demo.provider.url}/v1/chat/completions", direct_body, {"Authorization": "Bearer sk-simulated"})
    assert through.content == direct.content
    gaps = [after.at - before.at for before, after in zip(through.events, through.events[1:])]
    plain = [after.at - before.at for before, after in zip(direct.events, direct.events[1:])]
    typical, typical_direct = sorted(gaps)[len(gaps) // 2], sorted(plain)[len(plain) // 2]
    # 40 ms more would be the mark of Nagle's algorithm meeting delayed acknowledgements.
    assert typical < typical_direct + 0.02, (typical, typical_direct)


def test_a_stream_without_an_end_stops_some_time_after_its_client_went_away(demo: Demo, http: httpx.Client) -> None:
    demo.provider.faults({"match": {}, "do": {"endless": True, "token_ms": 5}})
    with http.stream("POST", f"{demo.nodes[0].http}/v1/chat/completions", json={**SLOW, "model": "demo/echo"}, headers={"Authorization": f"Bearer {demo.key}"}) as response:
        next(response.iter_text())

    # The key has a budget: it is read on for half a minute, as its usage would tell what it costs.
    looks: list[int] = []

    def settled() -> bool:
        looks.append(demo.provider.bill()["completion_tokens"])
        return len(looks) > 5 and looks[-1] == looks[-5]

    waiting.until("the provider no longer produces tokens", settled, 45, every=0.1)


def test_a_stream_that_nobody_counts_stops_with_its_client(demo: Demo, http: httpx.Client) -> None:
    made = http.post(f"{demo.nodes[0].admin}/api/keys", json={"id": "uncounted", "models": ["demo/*"]})
    assert made.status_code == 201, made.text
    try:
        demo.provider.faults({"match": {}, "do": {"endless": True, "token_ms": 5}})
        headers = {"Authorization": f"Bearer {made.json()['key']}"}
        with http.stream("POST", f"{demo.nodes[0].http}/v1/chat/completions", json={**SLOW, "model": "demo/echo"}, headers=headers) as response:
            assert response.status_code == 200, response.read()
            next(response.iter_text())
        looks: list[int] = []

        def stopped() -> bool:
            looks.append(demo.provider.bill()["completion_tokens"])
            return len(looks) > 5 and looks[-1] == looks[-5]

        waiting.until("the provider no longer produces tokens", stopped, 5, every=0.1)
    finally:
        http.delete(f"{demo.nodes[0].admin}/api/keys/uncounted")


def test_a_cut_stream_ends_with_an_error_event_and_without_done(demo: Demo, http: httpx.Client) -> None:
    demo.provider.faults({"match": {}, "do": {"cut_after_events": 4}})
    stream = sse.read(http, f"{demo.nodes[0].http}/v1/chat/completions", {**SLOW, "model": "demo/echo"}, {"Authorization": f"Bearer {demo.key}"})
    assert not any(e.done for e in stream.events)
    assert stream.events[-1].json()["error"]["code"] == "upstream_error"
    assert stream.rest == ""
