"""The controller's command line, as a process: what is wrong is told in words, with an exit code."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

PROGRAM = [sys.executable, "-P", "-m", "e2e_controller"]
NO_ENGINE = "--engine=unix:///nowhere/docker.sock"


def controller(*options: str, state: Path | None = None, **variables: str) -> tuple[int, str]:
    """Gives the exit code and all that it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("E2E_")}
    place = [f"--state-dir={state}"] if state else []
    done = subprocess.run(
        [*PROGRAM, NO_ENGINE, *place, *options],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--address-pool=garbage"], "--address-pool: expected a range such as 10.201.0.0/16"),
        (["--address-pool=10.1.2.3/8"], "host bits"),
        (
            ["--subnet-prefix=8"],
            "--subnet-prefix: networks of /8 do not fit into --address-pool 10.201.0.0/16",
        ),
        (["--address-pool=10.0.0.0/26"], "give 26 or more here, or a larger pool"),
        (["--subnet-prefix=30"], "--subnet-prefix: Input should be less than or equal to 29"),
        (["--http=127.0.0.1"], "--http: expected host:port, such as 127.0.0.1:9000, not '127.0.0.1'"),
        (["--http=:9000"], "--http: expected host:port"),
        (["--http=unix:///x"], "--http: expected host:port"),
        (["--listen=127.0.0.1:99999"], "--listen: expected host:port"),
        (["--http=0.0.0.0:9000"], "--http: 0.0.0.0:9000 can be reached from other machines"),
        (["--engine-timeout=soon"], "--engine-timeout: expected a duration such as 1m30s"),
        (["--config=/nowhere.yaml"], "--config: cannot read /nowhere.yaml: No such file or directory"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_setting_is_named(options: list[str], said: str) -> None:
    code, text = controller(*options)
    assert code == 2
    assert said in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--token-file=/nowhere"], "cannot read /nowhere: No such file"),
        (["--tokens=/nowhere"], "cannot read /nowhere: No such file"),
        (["--tls-cert=/nowhere.crt", "--tls-key=/nowhere.key"], "cannot read /nowhere.crt: No such file"),
        ([], "E2E_TOKEN: a token of less than 16 characters can be guessed"),
    ],
)
def test_what_is_to_protect_it_and_is_wrong_ends_it_before_anything_is_done(
    options: list[str], said: str, tmp_path: Path
) -> None:
    variables = {} if options else {"E2E_TOKEN": "short"}
    code, text = controller("--listen=127.0.0.1:0", *options, state=tmp_path / "state", **variables)
    assert code == 2
    assert said in text
    assert "/nowhere/docker.sock" not in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"workers: [1", ":1:12: not YAML: expected ',' or ']'"),
        (b"- workers: 1", ": expected settings such as `workers: 16`, not a list"),
        (b"hello", ", not a text"),
        (b"0", ", not a int"),
        (b"\xff\xfe\x00", ": not a text in UTF-8"),
        (b"\x00", ": not YAML"),
        (b"[" * 100_000, ": not YAML: nested too deep"),
        (b"#" * (2**20 + 1), ": larger than 1 MiB"),
        (b"worker: 3", ": there is no setting 'worker'; did you mean workers?"),
        (b"colour: red", ": there is no setting 'colour'; `e2e-controller --help` lists them"),
        (b"workers: many", "--workers: Input should be a valid integer"),
    ],
)
def test_a_settings_file_that_is_none_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(content)
    code, text = controller(f"--config={file}")
    assert code == 2
    assert said in text
    assert len(text) < 1000


def test_flags_win_against_variables_and_those_against_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("workers: 1\nlog_level: nonsense\n")
    assert "--log-level" in controller(E2E_CONFIG=str(file))[1]
    variables = {"E2E_CONFIG": str(file), "E2E_LOG_LEVEL": "error"}
    assert controller(state=tmp_path / "state", **variables)[0] == 3
    assert "--log-level" in controller("--log-level=nonsense", **variables)[1]


def test_help_explains_where_settings_come_from() -> None:
    code, text = controller("--help", COLUMNS="100")
    assert code == 0
    for part in (
        "A flag wins against the variable",
        "[E2E_STATE_DIR]",
        "--engine-timeout DURATION",
        "[E2E_LEASE_GRACE; default: 2s]",
        "--call-rate NUMBER",
        "[E2E_CALL_RATE; default: 500]",
        "--folder FOLDER",
        "Exit codes: 0",
    ):
        assert part in text
    for part in ("ready-fd", "list[", "Path", "float", "default factory"):
        assert part not in text


def test_no_engine(tmp_path: Path) -> None:
    code, text = controller(state=tmp_path)
    assert code == 3
    assert "/nowhere/docker.sock" in text
    assert "start the Docker engine" in text


def test_an_engine_that_is_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=answer_nothing_is_here, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        code, text = controller(f"--engine=tcp://127.0.0.1:{port}", state=tmp_path)
    assert code == 3
    assert "404" in text
    assert "Traceback" not in text


def answer_nothing_is_here(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DOCKER_HOST": "tcp://127.0.0.1:1"}, "does not listen: connection refused"),
        ({"DOCKER_HOST": "ssh://-oProxyCommand=true"}, "is none that this driver can use"),
        ({"E2E_WORKERS": "0"}, "a setting is wrong: --workers: Input should be greater"),
    ],
)
def test_the_doctor_says_so_too(variables: dict[str, str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "e2e_controller.doctor", "--json"],
        env={**os.environ, "E2E_ENGINE": "", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert said in json.loads(done.stdout)["error"]


def test_a_folder_in_use_names_who_uses_it(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("process 17, which ends by itself")
        file.flush()
        code, text = controller(state=tmp_path)
    assert code == 4
    assert f"state folder {tmp_path} is in use by process 17, which ends by itself; end it, or give" in text
