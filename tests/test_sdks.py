"""Every SDK at every kind of provider: what its user sees, when all is well and when it is not. See `sdk`."""

import os
from collections.abc import Iterator

import pytest

from sdk.cases import CASES, REFUSED, Cell
from sdk.gateway import Gateway
from sdk.table import PROVIDERS, SDKS, Sdk, not_applicable

# What the SDKs would otherwise look up on the network or on the developer's machine.
os.environ.update(
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    LANGSMITH_TRACING="false",
)

CELLS = [(provider, case) for case in CASES for provider in (["itself"] if case in REFUSED else PROVIDERS)]


@pytest.fixture(scope="module", params=SDKS, ids=lambda sdk: sdk.id)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return request.param


@pytest.fixture(scope="module")
def gateway(sdk: Sdk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for each SDK: what the gateway learns of its providers from one SDK's failures must not meet the next SDK."""
    running = Gateway(tmp_path_factory.mktemp(sdk.id)).ready()
    yield running
    running.stop()


@pytest.mark.parametrize(("provider", "case"), CELLS, ids=lambda part: part)
def test_cell(sdk: Sdk, gateway: Gateway, provider: str, case: str, record_property) -> None:
    record_property("cell", (sdk.name, provider, case))
    if reason := not_applicable(sdk.name, provider, case):
        pytest.skip(f"not applicable: {reason}")
    gateway.provider.reset()
    adapter = sdk.load()
    prompt = f"{sdk.id} says to {provider}: one two three four five six seven eight nine ten"
    try:
        CASES[case](Cell(gateway, adapter, adapter.provider if case in REFUSED else provider, prompt))
    except BaseException:
        print("the node's log ends:", gateway.log()[-3000:], "and the provider was sent:", *gateway.provider.requests(last=3), sep="\n")
        raise
