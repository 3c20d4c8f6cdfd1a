"""The harness's own load driver sees what goes wrong: a driver that misses failures would prove nothing."""

import http.server
import threading

from harness import waiting
from harness.load import Load


class Shaky(http.server.BaseHTTPRequestHandler):
    """Every tenth request is refused, every eleventh connection dropped, answers by length and by chunks."""

    protocol_version = "HTTP/1.1"
    count = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with Shaky.lock:
            Shaky.count += 1
            number = Shaky.count
        if number % 11 == 0:
            self.close_connection = True
            return
        self.send_response(503 if number % 10 == 0 else 200)
        if number % 2:
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")
        else:
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


def test_every_failure_is_counted() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shaky)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    load = Load(f"http://127.0.0.1:{server.server_port}", "/", {}, {}, rate=100).start()
    waiting.until("three hundred requests", lambda: len(load.fates) >= 300, 20)
    fates = load.stop()
    server.shutdown()
    numbers = range(1, len(fates) + 1)
    assert Shaky.count == len(fates)
    assert sum(f.failed and f.status == 0 for f in fates) == sum(n % 11 == 0 for n in numbers)
    assert sum(f.status == 503 for f in fates) == sum(n % 10 == 0 and n % 11 != 0 for n in numbers)
    assert all(f.ended >= f.sent >= f.due for f in fates)


def test_nobody_there_is_a_failure() -> None:
    load = Load("http://127.0.0.1:9", "/", {}, {}, rate=50).start()
    waiting.until("ten requests", lambda: len(load.fates) >= 10, 10)
    assert all(f.failed for f in load.stop())
