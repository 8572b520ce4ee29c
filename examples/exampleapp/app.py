"""An instrumented server: it answers each request, and counts it.

`/` answers, `/slow` takes a moment, `/metrics` is for Prometheus, `/-/ready` for who waits for the app.
"""

import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest

PORT = 8080
SLOW_SECONDS = 0.2
REQUESTS = Counter("http_requests", "Requests by their answer.", ["method", "path", "code"])
DURATION = Histogram("http_request_duration_seconds", "From a request to its answer.", ["path"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self.answer(200, generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
        elif path == "/-/ready":
            self.answer(200, b"ready\n")
        elif path in ("/", "/slow"):
            with DURATION.labels(path).time():
                time.sleep(SLOW_SECONDS if path == "/slow" else 0)
                self.answer(200, b"hello\n")
            REQUESTS.labels("get", path, "200").inc()
        else:
            self.answer(404, b"not found\n")
            REQUESTS.labels("get", "other", "404").inc()

    def answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    server = ThreadingHTTPServer(("", PORT), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on port {PORT}", file=sys.stderr, flush=True)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
