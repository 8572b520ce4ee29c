"""Fields that would have no effect are refused, not ignored."""

import pytest

from e2e_api.parsing import parse_documents

HEAD = """apiVersion: e2e/v1
kind: Workload
metadata: {name: web}
spec:
  image: busybox
  ports: {http: 80}
  readiness:
"""


def problems(*lines: str) -> list[str]:
    text = HEAD + "".join(f"    {line}\n" for line in lines)
    return [str(problem) for document in parse_documents(text.encode()) for problem in document.problems]


@pytest.mark.parametrize("probe", ["log: {pattern: up}", "healthcheck: {}"])
@pytest.mark.parametrize("field", ["period: 5s", "timeout: 2s", "failureThreshold: 3"])
def test_what_nobody_asks_has_no_fields_about_asking(probe: str, field: str) -> None:
    name, kind = field.partition(":")[0], probe.partition(":")[0]
    (problem,) = problems(probe, field)
    assert problem.startswith(f"9:{7 + len(name)}: spec.readiness.{name}: has no effect with {kind}: ")
    assert problem.endswith("; leave it out")


@pytest.mark.parametrize("probe", ["log: {pattern: up}", "healthcheck: {}"])
def test_every_probe_may_take_long_at_the_start(probe: str) -> None:
    assert not problems(probe, "startupTimeout: 5s")


@pytest.mark.parametrize("probe", ["http: {port: http}", "tcp: {port: http}", "exec: {command: [true]}"])
def test_what_is_asked_has_them(probe: str) -> None:
    assert not problems(
        probe.replace("[true]", "['true']"), "period: 5s", "timeout: 2s", "failureThreshold: 3"
    )


def test_a_range_of_statuses_that_has_none() -> None:
    (problem,) = problems("http: {port: http, statusMin: 300, statusMax: 299}")
    assert problem == "8:51: spec.readiness.http.statusMax: 299 is below statusMin, 300"
    assert not problems("http: {port: http, statusMin: 299}")
    (problem,) = problems("http: {port: http, statusMin: 300}")
    assert "spec.readiness.http.statusMax: 299 is below statusMin, 300" in problem
