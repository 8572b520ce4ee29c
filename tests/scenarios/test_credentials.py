"""Pages that ask for credentials, or have a certificate of their own, in a Prometheus that watches."""

import tarfile
from pathlib import Path

from apis import until

import e2e
from e2e import equals
from e2e.monitoring import Monitoring

PYTHON = "docker.io/library/python:3.11-slim"
PATIENCE = 90.0
SERVER = """
import base64, http.server, os, pathlib, signal, ssl, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = self.headers.get("Authorization") == os.environ["EXPECTED"]
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(f"secrets_kept {os.environ['KEPT']}\\n".encode() if allowed else b"no\\n")
server = http.server.ThreadingHTTPServer(("", 8000), Handler)
if pathlib.Path("/tls.pem").exists():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/tls.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def guarded(
    env: e2e.Environment, name: str, expected: str, metrics: e2e.Metrics, **files: str
) -> e2e.Workload:
    return env.workload(
        name,
        image=PYTHON,
        command=["python", "-c", SERVER],
        env={"EXPECTED": expected, "KEPT": "1"},
        ports={"http": 8000},
        files={f"/{file}.pem": content for file, content in files.items()},
        metrics=metrics,
    )


def assert_up(monitoring: Monitoring, job: str, value: float = 1) -> None:
    monitoring.wait_query(f'secrets_kept{{job="{job}",workload="{job}"}}', equals(value))
    until(monitoring.targets, lambda found: [it.is_up for it in found if it.job == job] == [True])


def test_pages_that_ask_for_credentials_are_scraped(
    e2e_environment: e2e.Environment, certificate: str, tmp_path: Path
) -> None:
    """The one that is there, the one that comes later, and the one whose password becomes another."""
    env = e2e_environment
    basic = e2e.BasicAuth(username="me", password="open-sesame")
    first = guarded(env, "first", "Basic bWU6b3Blbi1zZXNhbWU=", e2e.Metrics(port="http", basic_auth=basic))
    first.start()
    with e2e.monitoring.start(env, cadvisor=False, test_process=False, timeout=PATIENCE) as monitoring:
        before = monitoring.prometheus.status().container
        token = e2e.Metrics(port="http", scheme="https", bearer_token="abracadabra")
        later = guarded(env, "later", "Bearer abracadabra", token, tls=certificate)
        later.start()
        assert_up(monitoring, "first")
        assert_up(monitoring, "later")
        other = e2e.BasicAuth(username="me", password="open-barley")
        first.update(
            env={"EXPECTED": "Basic bWU6b3Blbi1iYXJsZXk=", "KEPT": "2"},
            metrics=e2e.Metrics(port="http", basic_auth=other),
        )
        assert_up(monitoring, "first", 2)
        after = monitoring.prometheus.status().container
        assert before is not None
        assert after is not None
        assert (after.id, after.started_at) == (before.id, before.started_at)
        shown = [str(target.discovered_labels) + str(target.labels) for target in monitoring.targets()]
        with tarfile.open(env.bundle(tmp_path / "bundle.tar.gz")) as bundle:
            files = [bundle.extractfile(member) for member in bundle.getmembers() if member.isfile()]
            shown += [file.read().decode(errors="replace") for file in files if file is not None]
        checked = monitoring.prometheus.exec(
            ["promtool", "check", "config", "/etc/prometheus/prometheus.yml"]
        )
        shown += [checked.stdout_text, checked.stderr_text]
        later.remove()
        monitoring.wait_query("up", lambda found: "later" not in found.by("job"))
    for secret in ("open-sesame", "open-barley", "abracadabra"):
        assert not [text for text in shown if secret in text]
