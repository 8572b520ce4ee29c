"""What is hidden, and what is not."""

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from e2e_api.secrets import MASK
from e2e_controller.masking import (
    Mask,
    masked_inspection,
    masked_manifest,
    masked_variables,
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_PASSWORD", "postgres"),
        ("DB_PASSWORD", "password"),
        ("CLIENT_SECRET", "public"),
        ("REDIS_AUTH", "x7"),
        ("Authorization", "Bearer abc"),
        ("X-Auth-Key", "1"),
        ("DB_PWD", "a"),
        ("Cookie", "session=1"),
        ("SSH_PASSPHRASE", "correct horse"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("PASSWORD_FILE", "no path, but the password"),
        ("jwt", "e30.e30."),
    ],
)
def test_names_that_say_so(name: str, value: str) -> None:
    assert masked_variables({name: value}) == {name: MASK}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_HOST_AUTH_METHOD", "trust"),
        ("AUTHOR", "Ada"),
        ("AUTH_URL", "http://keycloak:8080"),
        ("REDIS_AUTH", "true"),
        ("TOKEN_CHECKED", "False"),
        ("AUTH", "public"),
        ("PWD", "/srv"),
        ("DB_PASSWORD_FILE", "/run/secrets/db"),
    ],
)
def test_names_and_values_that_tell_nothing(name: str, value: str) -> None:
    assert masked_variables({name: value}) == {name: value}


@pytest.mark.parametrize("value", ["abc", "dev", "test", "admin", "4096", "password", "Public", MASK])
def test_what_stands_in_any_text_is_hidden_only_where_it_is_given(value: str) -> None:
    assert secrets_of({"DB_PASSWORD": value}) == set()


@pytest.mark.parametrize("value", ["t0ken", "a-b-", "postgres", "12345678"])
def test_what_does_not_is_looked_for_elsewhere(value: str) -> None:
    assert secrets_of({"DB_PASSWORD": value}) == {value}


@pytest.mark.parametrize("secret", ["p@ss wörd/+&", 'quo"ted\\\n', "s3cr3t-of-mine", "x" * 21, "ÿ" * 9])
def test_encoded_secrets_are_hidden_too(secret: str) -> None:
    mask = Mask({secret})
    for user in ("", "u", "us", "use", "user"):
        encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
        shown = mask.hide_text(f"Authorization: Basic {encoded}")
        kept = base64.b64decode(shown.removeprefix("Authorization: Basic ").partition(MASK)[0][:4] + "====")
        assert MASK in shown, (user, shown)
        assert secret[:4].encode() not in kept
    for text in (quote(secret), quote_plus(secret), json.dumps({"a": secret}), repr(secret)):
        assert MASK in mask.hide_text(text), text
        assert MASK.encode() in mask.hide(text.encode()), text


@pytest.mark.parametrize(
    "text",
    [
        *(r"p\u0026s\u003c\"/x\u003e'", r"p&s<\"\/x>'"),  # Go, PHP
        *("p&amp;s&lt;\"/x&gt;'", "p&amp;s&lt;&quot;/x&gt;&#x27;", "p&amp;s&lt;&#34;/x&gt;&#39;"),
        *("p%26s%3c%22%2fx%3e%27", "p%26s%3C%22%2Fx%3E'", "p&s%3C%22%2Fx%3E%27", "p&s%3C%22/x%3E%27"),
    ],
)
def test_what_programs_of_other_languages_make_of_a_secret_is_hidden_too(text: str) -> None:
    assert Mask({"p&s<\"/x>'"}).hide_text(text) == MASK


@pytest.mark.parametrize("width", [64, 76])
def test_a_long_secret_is_hidden_in_lines_of_base64(width: int) -> None:
    secret = "".join(f"{number:07}" for number in range(39))
    encoded = base64.b64encode(secret.encode()).decode()
    mask = Mask({secret})
    for start in range(0, len(encoded), width):
        assert mask.hide_text(encoded[start : start + width]) == MASK


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\nx\n-----END KEY-----\n"
    mask = Mask({key})
    assert [mask.hide_text(line) for line in key.splitlines()] == [MASK, MASK, "x", MASK]
    assert mask.hide_text(json.dumps([key])) == f'["{MASK}"]'


def test_manifests_point_to_secrets_and_show_none() -> None:
    spec = {
        "build": {"context": ".", "args": {"NPM_TOKEN": "npm-1234", "VERSION": "2"}},
        "env": {
            "A": {"valueFrom": {"value": "geheim-12"}},
            "B": {"valueFrom": {"file": "db"}},
            "C": {"valueFrom": {"variable": "E2E_SECRET_C"}},
        },
        "secretFiles": [{"path": "/s", "from": {"value": "geheim-34"}}],
        "files": [{"path": "/c", "content": "password: geheim-12"}, {"path": "/t", "from": "MetricTargets"}],
        "command": ["geheim-34", "npm-1234"],
        "readiness": {"exec": {"command": ["ping", "-p", "geheim-12"]}, "timeout": "1s"},
    }
    assert secrets_in({"spec": spec}) == {"geheim-12", "geheim-34", "npm-1234"}
    assert masked_manifest({"spec": spec})["spec"] == {
        "build": {"context": ".", "args": {"NPM_TOKEN": MASK, "VERSION": "2"}},
        "env": {**spec["env"], "A": {"valueFrom": {"value": MASK}}},  # type: ignore[dict-item]
        "secretFiles": [{"path": "/s", "from": {"value": MASK}}],
        "files": [{"path": "/c", "content": f"password: {MASK}"}, {"path": "/t", "from": "MetricTargets"}],
        "command": [MASK, MASK],
        "readiness": {"exec": {"command": ["ping", "-p", MASK]}, "timeout": "1s"},
    }


def test_a_manifest_shows_no_secret_under_another_name() -> None:
    def spec(own: str, elsewhere: str) -> dict[str, Any]:
        return {
            "image": "a:1",
            "env": {"DSN": f"host=db password={own}", "COPY": elsewhere},
            "build": {"context": ".", "args": {"INDEX": f"https://index/?key={own}"}},
            "readiness": {"http": {"port": "http", "path": f"/ready?t={own}", "contains": [elsewhere]}},
            "metrics": {"port": "http", "path": f"/metrics?t={elsewhere}"},
            "profiles": {"port": "http", "path": f"/{own}"},
            "files": [{"path": "/c", "content": f"{own} {elsewhere}"}],
        }

    given = spec("hunter22", "geheim-12")
    given["env"]["DB_PASSWORD"] = "hunter22"
    shown = spec(MASK, MASK)
    shown["env"]["DB_PASSWORD"] = MASK
    assert masked_manifest({"spec": given}, Mask(["geheim-12"]))["spec"] == shown


def test_the_engines_view_shows_none_in_health_checks() -> None:
    config = {"Env": ["TOKEN=geheim-12"], "Healthcheck": {"Test": ["CMD", "ping", "geheim-12"], "Retries": 3}}
    state = {"Running": True, "Health": {"Log": [{"ExitCode": 1, "Output": "denied: geheim-12"}]}}
    shown = masked_inspection({"Config": config, "State": state})
    assert shown["Config"]["Healthcheck"] == {"Test": ["CMD", "ping", MASK], "Retries": 3}
    assert shown["State"] == {
        "Running": True,
        "Health": {"Log": [{"ExitCode": 1, "Output": f"denied: {MASK}"}]},
    }


def test_the_engines_view_shows_none_that_is_known_from_elsewhere() -> None:
    config = {"Env": ["DSN=host=db pass=geheim-12"], "Cmd": ["run", "geheim-12"]}
    shown = masked_inspection({"Config": config}, ["geheim-12"])
    named = masked_inspection({"Config": {"Env": ["PIN=1", "A=b"]}}, names={"PIN"})
    assert named["Config"]["Env"] == [f"PIN={MASK}", "A=b"]
    assert shown["Config"] == {"Env": [f"DSN=host=db pass={MASK}"], "Cmd": ["run", MASK]}


@pytest.mark.parametrize("number", [1, 20, 600])
def test_many_secrets_are_hidden_as_few_are(number: int) -> None:
    mask = Mask(f"secret-{index}" for index in range(number))
    last = f"secret-{number - 1}"
    assert mask.hide_text(f"x{last}y {last}") == f"x{MASK}y {MASK}"
    assert mask.hide(f"x{last}y {last}".encode()) == f"x{MASK}y {MASK}".encode()
    mask.add({f"{last}-longer"})
    assert mask.hide_text(f"{last}-longer") == MASK
    assert mask.hide_text("as it is") == "as it is"
    assert mask.hide_text("x") == "x"
