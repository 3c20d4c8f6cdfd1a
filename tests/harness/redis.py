"""A Redis of its own, on a socket in a folder."""

import signal
import subprocess
from pathlib import Path

from . import waiting


class RedisServer:
    def __init__(self, folder: Path):
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen | None = None

    def start(self) -> "RedisServer":
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        waiting.until("Redis answers", lambda: self.cli("ping") == "PONG", 10)
        return self

    def cli(self, *words: str) -> str:
        done = subprocess.run(["redis-cli", "-s", str(self.socket), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def stop(self) -> None:
        """It stays connected and says nothing any more."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
