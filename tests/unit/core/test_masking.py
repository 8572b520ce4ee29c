"""What is hidden, and what is not."""

from e2e_api.secrets import MASK
from e2e_controller.masking import (
    Mask,
    masked_inspection,
    masked_manifest,
    secrets_in,
    secrets_of,
)

VARIABLES = {
    "DB_PASSWORD": "hunter22",
    "EMPTY_TOKEN": "",
    "SHORT_SECRET": "abc",
    "DATABASE_URL": "postgres://app:s3cr3t!@db:5432/app?sslmode=off",
    "HOME_PAGE": "http://example.org:80/a@b",
    "LEVEL": "debug",
}


def test_a_manifest_shows_neither_secret_variables_nor_passwords_in_urls() -> None:
    shown = masked_manifest({"kind": "Workload", "spec": {"image": "a:1", "env": VARIABLES}})
    assert shown["spec"] == {
        "image": "a:1",
        "env": {
            **VARIABLES,
            "DB_PASSWORD": MASK,
            "SHORT_SECRET": MASK,
            "DATABASE_URL": f"postgres://app:{MASK}@db:5432/app?sslmode=off",
        },
    }


def test_a_manifest_shows_no_secret_in_its_command_line_nor_in_a_probes_headers() -> None:
    headers = {"Authorization": "Bearer 1234", "Accept": "text/plain"}
    spec = {
        "image": "hunter22:1",
        "command": ["run", "--password=hunter22"],
        "env": {"DB_PASSWORD": "hunter22"},
        "readiness": {"http": {"port": "http", "headers": headers}, "timeout": "1s"},
    }
    shown = masked_manifest({"kind": "Workload", "spec": spec})["spec"]
    assert shown == {
        "image": "hunter22:1",
        "command": ["run", f"--password={MASK}"],
        "env": {"DB_PASSWORD": MASK},
        "readiness": {
            "http": {"port": "http", "headers": {**headers, "Authorization": MASK}},
            "timeout": "1s",
        },
    }
    assert spec["command"] == ["run", "--password=hunter22"]
    assert secrets_in({"spec": spec}) == {"hunter22", "Bearer 1234"}


def test_a_manifest_shows_no_credentials_of_a_metrics_page() -> None:
    basic = {"port": "http", "basicAuth": {"username": "me", "password": "hunter22"}}
    bearer = {"port": "http", "bearerToken": "t0ken"}
    for metrics, shown, secret in (
        (basic, {**basic, "basicAuth": {"username": "me", "password": MASK}}, "hunter22"),
        (bearer, {**bearer, "bearerToken": MASK}, "t0ken"),
    ):
        document = {"spec": {"command": [f"--auth={secret}"], "metrics": metrics}}
        assert masked_manifest(document)["spec"] == {"command": [f"--auth={MASK}"], "metrics": shown}
        assert secrets_in(document) == {secret}
    assert masked_manifest({"spec": {"metrics": {"port": "http"}}})["spec"] == {"metrics": {"port": "http"}}


def test_the_engines_view_shows_no_secret_in_command_lines() -> None:
    config = {"Env": ["TOKEN=abc9"], "Cmd": ["run", "abc9"], "Entrypoint": None}
    shown = masked_inspection({"Config": config, "Args": ["x=abc9"]})
    assert shown["Config"]["Cmd"] == ["run", MASK]
    assert shown["Args"] == [f"x={MASK}"]


def test_the_engines_view_is_masked_but_for_its_labels() -> None:
    inspected = {"Id": "c", "Config": {"Env": ["API_KEY=k=1", "A=b"], "Labels": {"token": "shown"}}}
    shown = masked_inspection(inspected)
    assert shown["Config"] == {"Env": [f"API_KEY={MASK}", "A=b"], "Labels": {"token": "shown"}}
    assert inspected["Config"] == {"Env": ["API_KEY=k=1", "A=b"], "Labels": {"token": "shown"}}
    assert masked_inspection({"Id": "c", "Config": None})["Config"] == {}


def test_secrets_are_hidden_wherever_they_stand_the_longest_first() -> None:
    assert secrets_of(VARIABLES) == {"hunter22", "s3cr3t!"}
    mask = Mask({"hunter22", "hunter22-long", "a.c+"})
    assert (
        mask.hide(b"x hunter22-long hunter22 abc+ a.c+\xff")
        == f"x {MASK} {MASK} abc+ {MASK}".encode() + b"\xff"
    )
    assert Mask(()).hide(b"as it is") == b"as it is"
