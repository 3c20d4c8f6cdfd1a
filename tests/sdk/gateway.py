"""One node and one simulated provider, from `peerway.yaml`."""

from pathlib import Path

import httpx

from harness import ports, waiting
from harness.process import Process, binary, clean_env
from harness.provider import Provider

HERE = Path(__file__).parent
USER = "sk-user"
POOR = "sk-poor"
"""A key whose budget no request fits into."""


class Gateway:
    def __init__(self, folder: Path):
        taken: set[int] = set()
        while len(taken) < 3:
            taken.add(ports.one())
        provider, http, admin = taken
        self.provider = Provider(f"http://127.0.0.1:{provider}")
        self.url = f"http://127.0.0.1:{http}"
        self._admin = f"http://127.0.0.1:{admin}"
        self._http = httpx.Client(trust_env=False, timeout=5)
        self._simulated = Process([binary(), "simulate-provider", "--listen", f"127.0.0.1:{provider}"], folder, "provider")
        args = ["--http", f"127.0.0.1:{http}", "--admin", f"127.0.0.1:{admin}", "--cluster", f"127.0.0.1:{ports.udp()}", "--data-dir", folder / "data"]
        env = clean_env(PROVIDER=self.provider.url, PRICES=str(HERE / "prices.yaml"))
        self._node = Process([binary(), "serve", "--config", HERE / "peerway.yaml", *args], folder, "node", env=env)

    def ready(self) -> "Gateway":
        def serves() -> bool:
            if not self._node.running():
                raise SystemExit(f"the node ended:\n{self._node.log()[-3000:]}")
            return self._http.get(f"{self.url}/readyz").status_code == 200 and self._http.get(f"{self._admin}/cluster/status").json()["ledger"]["active"]

        try:
            waiting.until("the gateway of the table is ready and its budgets active", serves, 30)
        except BaseException:
            self.stop()
            raise
        return self

    def denied(self) -> float:
        """Requests refused for a budget so far."""
        lines = self._http.get(f"{self._admin}/metrics").raise_for_status().text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("peerway_budget_denied_total"))

    def arrived(self) -> int:
        """Requests at the provider since its last reset, whatever became of them."""
        return len(self.provider.requests(last=50))

    def log(self) -> str:
        return self._node.log()

    def stop(self) -> None:
        self._node.kill()
        self._simulated.kill()
        self.provider.close()
        self._http.close()
