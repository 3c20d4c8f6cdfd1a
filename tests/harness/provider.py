"""The control routes of the simulated provider."""

import httpx


class Provider:
    def __init__(self, url: str):
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def bill(self) -> dict:
        return self._http.get("/bill").raise_for_status().json()

    def requests(self, last: int = 10) -> list[dict]:
        return self._http.get("/requests", params={"last": last}).raise_for_status().json()["requests"]

    def faults(self, *rules: dict) -> None:
        """From now on these rules and no others."""
        self._http.post("/faults", json=list(rules)).raise_for_status()

    def reset(self) -> None:
        """No faults, an empty bill."""
        self.faults()
        self._http.post("/reset").raise_for_status()

    def close(self) -> None:
        self._http.close()
