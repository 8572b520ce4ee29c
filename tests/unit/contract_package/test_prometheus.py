"""Configurations of Prometheus to which scrape jobs are added."""

from typing import Any

import pytest
import yaml

from e2e_api.prometheus import check_configuration, with_jobs

JOB: dict[str, Any] = {
    "job_name": "credentials of web",
    "basic_auth": {"username": "yes", "password": "1e3: #x\n'\""},
}


def test_all_that_was_there_stays_as_it_was_written() -> None:
    """What one reader of YAML takes for a number or a date, another takes for a text."""
    content = (
        "global: &g {scrape_interval: 1s, external_labels: {a: '1e3', b: 1e3, c: 010, d: 12:30, e: yes}}\n"
        "rule_files: ['*.yml', \"a\\tb\", 2024-01-01]\n"
        "scrape_configs:\n- job_name: own\n  relabel_configs: [{regex: '(.*)\\d+;[[:alpha:]]$1'}]  # often\n"
        "alerting: *g\n"
    )
    text = with_jobs(content, [JOB])
    for kept in ("a: '1e3'", "b: 1e3", "c: 010", "d: 12:30", "e: yes", "2024-01-01", '"a\\tb"'):
        assert kept in text
    before, after = yaml.safe_load(content), yaml.safe_load(text)
    own = before.pop("scrape_configs")
    assert after.pop("scrape_configs") == [*own, JOB]
    assert after == before


@pytest.mark.parametrize("content", ["global: {}\n", "scrape_configs:\n", "scrape_configs: []\n"])
def test_where_there_are_no_jobs_they_are_the_first(content: str) -> None:
    check_configuration(content)
    assert with_jobs(content, []) == content
    assert yaml.safe_load(with_jobs(content, [JOB]))["scrape_configs"] == [JOB]
    assert with_jobs(content, [JOB]) == with_jobs(content, [JOB])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "expected one YAML document, a mapping"),
        ("- a", "expected one YAML document, a mapping"),
        ("a: 1\n---\nb: 2", "expected one YAML document, a mapping"),
        ("a: [", "2:1: not YAML: "),
        ("\0", "not a text file: it has a NUL byte"),
        ("a: " + "[" * 100, "more than 50 levels"),
        ("scrape_configs: {}", "expected a list of scrape_configs"),
        ("scrape_configs: a", "expected a list of scrape_configs"),
    ],
)
def test_to_what_none_can_be_added(content: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_configuration(content)
