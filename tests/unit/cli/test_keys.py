import click
import pytest

from e2e import Client, NotFound
from e2e.cli.keys import Key, find_keys, parse_name
from e2e.cli.options import Seconds

from .fake import CliController, workload


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("web", "env", ("env", "", "web")),
        ("web", None, ("", "", "web")),
        ("workload/web", "env", ("env", "Workload", "web")),
        ("Workloads/web", "env", ("env", "Workload", "web")),
        ("env/thanos", None, ("thanos", "Environment", "thanos")),
        ("file/thanos/broken.yaml", "thanos", ("thanos", "File", "thanos/broken.yaml")),
        ("thanos/Workload/web", None, ("thanos", "Workload", "web")),
        ("thanos/File/thanos/a.yaml", None, ("thanos", "File", "thanos/a.yaml")),
    ],
)
def test_names(text: str, environment: str | None, expected: tuple[str, str, str]) -> None:
    assert parse_name(text, environment) == expected


@pytest.mark.parametrize("text", ["", "/", "pod/web", "a//b", "other/Workload/web"])
def test_what_is_no_name_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.UsageError):
        parse_name(text, "env")


def test_without_an_environment_the_only_object_of_that_name_is_meant(controller: CliController) -> None:
    for environment, name in (("a", "web"), ("a", "db"), ("b", "db")):
        controller.add(workload(environment, name))
    with Client.connect() as client:
        assert find_keys(client, ["web"], None) == [Key("a", "Workload", "web")]
        assert find_keys(client, ["db"], "b") == [Key("b", "Workload", "db")]
        with pytest.raises(click.UsageError, match="several environments"):
            find_keys(client, ["db"], None)
        with pytest.raises(NotFound, match="no environment has a Workload or Job nobody"):
            find_keys(client, ["nobody"], None)


@pytest.mark.parametrize(("text", "seconds"), [("30", 30.0), ("1.5", 1.5), ("250ms", 0.25), ("1m30s", 90.0)])
def test_durations(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == seconds


def test_what_is_no_duration_is_wrong_usage() -> None:
    with pytest.raises(click.UsageError, match="expected a duration"):
        Seconds().convert("soon", None, None)
