"""One child process with its logs, ended for certain."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path

import psutil

from . import waiting

ROOT = Path(__file__).resolve().parents[2]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

# Read by the binary or by a client, so a developer's own settings must not reach the tests.
_NOT_INHERITED = ("API_KEY", "PEERWAY_", "RUST_LOG", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


def binary() -> Path:
    """The release binary, or the one that PEERWAY_BIN names."""
    path = Path(os.environ.get("PEERWAY_BIN", ROOT / "target/release/peerway"))
    if not path.exists():
        raise RuntimeError(f"{path} is missing: run `cargo build --release -p peerway` or set PEERWAY_BIN")
    return path


def clean_env(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not any(part in k for part in _NOT_INHERITED)}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", **more}


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child whose output goes to files, and which dies with the test run."""

    def __init__(self, args: list[str | Path], logs: Path, name: str, env: dict[str, str] | None = None, cwd: Path | None = None):
        logs.mkdir(parents=True, exist_ok=True)
        self.args = [str(a) for a in args]
        self.name = name
        self.stdout = logs / f"{name}.out"
        self.stderr = logs / f"{name}.err"
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            self.popen = subprocess.Popen(
                self.args, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env or clean_env(), cwd=cwd, preexec_fn=_die_with_parent
            )
        self.pid = self.popen.pid

    def out(self) -> str:
        return self.stdout.read_text(errors="replace")

    def err(self) -> str:
        return self.stderr.read_text(errors="replace")

    def log(self) -> str:
        """Both outputs: which one carries the log is not what a test is about."""
        return self.out() + self.err()

    def running(self) -> bool:
        return self.popen.poll() is None

    def exited_with(self, seconds: float) -> int:
        """The exit code, negative for a signal."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise waiting.Late(f"{self.name} still runs after {seconds} s; its log ends:\n{self.log()[-2000:]}") from None

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, and the exit is collected."""
        if self.running():
            self.popen.kill()
        self.popen.wait(10)

    def terminate(self, seconds: float = 30) -> int:
        """SIGTERM; the exit code."""
        if self.running():
            self.popen.terminate()
        try:
            return self.exited_with(seconds)
        except waiting.Late:
            self.kill()
            raise

    def family(self) -> list[psutil.Process]:
        """The process and all below it, as they are now."""
        me = psutil.Process(self.pid)
        return [me, *me.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs; a process that is dead but not yet collected by its parent does not run."""
    return not [p for p in processes if _alive(p)]


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
