"""How a metrics page is asked for, in a manifest; no error and no text of a value tells a secret."""

import pytest
from pydantic import ValidationError

from e2e_api.manifests import BasicAuth, Metrics, Workload
from e2e_api.parsing import parse_documents

MANIFEST = """\
apiVersion: e2e/v1
kind: Workload
metadata: {name: web}
spec:
  image: busybox
  ports: {http: 80}
  metrics: {port: http, %s}
"""


def parsed(fields: str) -> tuple[Workload | None, list[str]]:
    (document,) = parse_documents((MANIFEST % fields).encode())
    manifest = document.manifest
    assert manifest is None or isinstance(manifest, Workload)
    return manifest, [str(problem) for problem in document.problems]


@pytest.mark.parametrize(
    "fields",
    [
        "path: /x, scheme: https, tls: {}",
        "scheme: https, tls: {serverName: a.example}, basicAuth: {username: me, password: geheim}",
        "scheme: https, tls: {insecureSkipVerify: true, serverName: a.example}",
        "basicAuth: {username: me}",
        "bearerToken: geheim",
        "bearerToken: null",
    ],
)
def test_what_can_be_said(fields: str) -> None:
    manifest, problems = parsed(fields)
    assert problems == []
    assert "geheim" not in repr(manifest)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            "bearerToken: 12345678",
            "spec.metrics.bearerToken: expected text; if it is meant as",
        ),
        ("bearerToken: [geheim]", "spec.metrics.bearerToken: expected text; if"),
        ('bearerToken: "geheim\\n"', "spec.metrics.bearerToken: expected text of one line"),
        ("bearerToken: ''", "spec.metrics.bearerToken: expected text of one line, and not an empty one"),
        ("basicAuth: 'me:geheim'", "spec.metrics.basicAuth: expected a mapping with username and password"),
        (
            "basicAuth: {username: a, password: 12345678}",
            "spec.metrics.basicAuth.password: expected text; if",
        ),
        ("basicAuth: {username: a, pasword: geheim}", "unknown field; did you mean password?"),
        ("basicAuth: {username: 'a:b'}", "basicAuth.username: expected a name without ':'"),
        ("basicAuth: {password: geheim}", "basicAuth.username: missing"),
        (
            "basicAuth: {username: a}, bearerToken: geheim",
            "spec.metrics.bearerToken: expected one of basicAuth and bearerToken, not both",
        ),
        ("tls: {}", "spec.metrics.tls: has no effect with scheme: http"),
        ("scheme: https, tls: {ca: geheim}", "spec.metrics.tls.ca: expected certificates in PEM"),
        (
            "scheme: https, tls: {serverName: ''}",
            "metrics.tls.serverName: expected text, not an empty",
        ),
    ],
)
def test_what_cannot_be_said(fields: str, problem: str) -> None:
    _, problems = parsed(fields)
    assert len(problems) == 1
    assert problem in problems[0]
    for secret in ("geheim", "12345678"):
        assert secret not in problems[0]


def test_what_is_wrong_in_a_value_of_the_sdk_is_told_without_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Metrics(port="http", bearer_token="geheim\n")
    assert "geheim" not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        BasicAuth(username="me", password="geheim\n")
    assert "geheim" not in str(caught.value)
