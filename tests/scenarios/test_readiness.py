"""Every probe on the real engine: ready when the program is, not before, and no longer than it is."""

import time
from pathlib import Path

import pytest
from apis import until

import e2e
from e2e import (
    Build,
    ExecProbe,
    GrpcProbe,
    HealthcheckProbe,
    HttpProbe,
    LogProbe,
    Port,
    Readiness,
    TcpProbe,
    WaitFailed,
    WaitTimeout,
)

BUSYBOX = "docker.io/library/busybox:1.36"
PYTHON = "docker.io/library/python:3.11-slim"
THANOS = "quay.io/thanos/thanos:v0.38.0"
SERVE = ["httpd", "-f", "-p", "8080", "-h", "/etc"]

LISTENS_LATE = """
import os, socket, time
os.makedirs(os.environ["HERE"], exist_ok=True)
time.sleep(1.0)
with open(os.environ["HERE"] + "/about-to-listen", "w") as file:
    file.write(repr(time.time()))
server = socket.create_server(("", 8080))
while True:
    server.accept()[0].close()
"""

HTTPS = """
import http.server, ssl, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"all is well")
server = http.server.HTTPServer(("", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def test_http_looks_at_status_and_body(e2e_environment: e2e.Environment) -> None:
    probe = HttpProbe(port="http", path="/passwd", contains=("root", "nobody"))
    good = e2e_environment.workload(
        "good", image=BUSYBOX, command=SERVE, ports={"http": 8080}, readiness=probe
    )
    good.start_and_wait_ready()

    missing = Readiness(http=HttpProbe(port="http", path="/nothing"), timeout=60, startup_timeout=600)
    bad = e2e_environment.workload(
        "bad", image=BUSYBOX, command=SERVE, ports={"http": 8080}, readiness=missing
    )
    bad.start()
    until(lambda: str(bad.status().last_probe), lambda probe: "404" in probe)
    with pytest.raises(WaitTimeout, match="404"):
        bad.wait_ready(timeout=1)


def test_https_does_not_verify(e2e_environment: e2e.Environment, certificate: str) -> None:
    secure = e2e_environment.workload(
        "secure",
        image=PYTHON,
        command=["python", "-c", HTTPS],
        ports={"https": 8443},
        files={"/tls.pem": certificate},
        readiness=HttpProbe(port="https", scheme="HTTPS", contains=("all is well",)),
    )
    secure.start_and_wait_ready()


def test_tcp_is_not_fooled_by_the_engines_port_proxy(e2e_environment: e2e.Environment) -> None:
    late = e2e_environment.workload(
        "late",
        image=PYTHON,
        command=["python", "-c", LISTENS_LATE],
        env={"HERE": str(e2e_environment.shared_dir / "late")},
        ports={"tcp": 8080},
        readiness=TcpProbe(port="tcp"),
    )
    late.start_and_wait_ready()
    told = time.time()
    about_to_listen = float((late.dir / "about-to-listen").read_text())
    assert about_to_listen <= told


def test_exec(e2e_environment: e2e.Environment) -> None:
    command = ["sh", "-c", "sleep 0.5; touch /tmp/up; sleep 600"]
    probe = ExecProbe(command=("test", "-e", "/tmp/up"))
    e2e_environment.workload("exec", image=BUSYBOX, command=command, readiness=probe).start_and_wait_ready()


def test_grpc_health(e2e_environment: e2e.Environment) -> None:
    querier = e2e_environment.workload(
        "query",
        image=THANOS,
        command=["query", "--grpc-address=0.0.0.0:10901", "--http-address=0.0.0.0:10902"],
        ports={"grpc": 10901, "http": 10902},
        readiness=GrpcProbe(port="grpc"),
    )
    querier.start_and_wait_ready()


def test_log_lines_count_since_the_start(e2e_environment: e2e.Environment) -> None:
    command = ["sh", "-c", "for i in 1 2 3; do sleep 0.1; echo step $i done; done; sleep 600"]
    probe = LogProbe(pattern="step [0-9] done", count=3)
    steps = e2e_environment.workload("steps", image=BUSYBOX, command=command, readiness=probe)
    steps.start_and_wait_ready()
    assert "step 3 done" in steps.logs()


def test_the_images_own_healthcheck(e2e_environment: e2e.Environment, tmp_path: Path) -> None:
    check = "HEALTHCHECK --interval=1s --timeout=20s --retries=1 CMD test -e /tmp/healthy\n"
    run = f'FROM {BUSYBOX}\n{check}CMD ["sh", "-c", "sleep 0.5; touch /tmp/healthy; sleep 600"]\n'
    (tmp_path / "Dockerfile").write_text(run)
    checked = e2e_environment.workload(
        "checked", build=Build(context=str(tmp_path)), readiness=HealthcheckProbe()
    )
    checked.start_and_wait_ready()


def test_an_image_without_a_healthcheck_ends_the_wait_at_once(e2e_environment: e2e.Environment) -> None:
    readiness = Readiness(healthcheck=HealthcheckProbe(), startup_timeout=50)
    plain = e2e_environment.workload("plain", image=BUSYBOX, command=["sleep", "600"], readiness=readiness)
    with pytest.raises(e2e.WaitFailed) as failed:
        plain.start_and_wait_ready(timeout=40)
    assert failed.value.reason == "NoHealthcheck"


def test_ready_goes_back_when_the_program_stops_answering(e2e_environment: e2e.Environment) -> None:
    readiness = Readiness(
        exec=ExecProbe(command=("test", "!", "-e", "/tmp/sick")), period=0.1, failure_threshold=2
    )
    patient = e2e_environment.workload(
        "patient", image=BUSYBOX, command=["sleep", "600"], readiness=readiness
    )
    patient.start_and_wait_ready()
    patient.exec(["touch", "/tmp/sick"])
    patient.wait_not_ready()
    patient.exec(["rm", "/tmp/sick"])
    patient.wait_ready()


def test_an_exit_ends_the_wait_at_once_with_its_evidence(e2e_environment: e2e.Environment) -> None:
    command = ["sh", "-c", "sleep 0.3; echo cannot open the database; exit 3"]
    readiness = Readiness(tcp=TcpProbe(port="tcp"), startup_timeout=50)
    dies = e2e_environment.workload(
        "dies", image=BUSYBOX, command=command, ports={"tcp": Port(container_port=80)}, readiness=readiness
    )
    dies.start()
    began = time.monotonic()
    with pytest.raises(WaitFailed) as failed:
        dies.wait_ready(timeout=50)
    assert time.monotonic() - began < 40  # not at the deadline
    text = str(failed.value)
    assert text.index("ready") < text.index("exited with code 3") < text.index("cannot open the database")


def test_not_ready_in_startup_time_fails_with_the_last_answer(e2e_environment: e2e.Environment) -> None:
    readiness = Readiness(tcp=TcpProbe(port="tcp"), timeout=60, startup_timeout=10)
    deaf = e2e_environment.workload(
        "deaf", image=BUSYBOX, command=["sleep", "600"], ports={"tcp": 80}, readiness=readiness
    )
    deaf.start()
    with pytest.raises(WaitFailed, match="connection refused") as failed:
        deaf.wait_ready()
    assert failed.value.reason == "ProbeTimeout"
