"""Quantities and durations: what Kubernetes writes is read exactly, and what is written is read back."""

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from e2e_api import quantities
from e2e_api.manifests import EnvironmentSpec, Resources
from e2e_api.quantities import format_duration, format_quantity, parse_duration, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("1", 1),
        ("0.5", 0.5),
        (".5", 0.5),
        ("5.", 5),
        ("500m", 0.5),
        ("100u", 0.0001),
        ("1n", 1e-9),
        ("3m", 0.003),
        ("1k", 1000),
        ("2.3M", 2_300_000),
        ("4.35k", 4350),
        ("1G", 10**9),
        ("1T", 10**12),
        ("1P", 10**15),
        ("1E", 10**18),
        ("1Ki", 1024),
        ("256Mi", 256 * 2**20),
        ("1.5Gi", 1.5 * 2**30),
        ("1Ti", 2**40),
        ("1Pi", 2**50),
        ("1Ei", 2**60),
        ("1e3", 1000),
        ("12E2", 1200),
        ("5e-1", 0.5),
        (7, 7),
        (0.25, 0.25),
        ("10000000000000000", 10**16),
    ],
)
def test_quantities(text: str | float, number: float) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "1x",
        "-1",
        "+1",
        "1 Mi",
        "256MB",
        "1Kb",
        "1ki",
        "1mi",
        "0x10",
        "1_000",
        "٣",
        "1e",
        "1e9999",
        ".",
        "1e3Mi",
        "2Ei",
        "9" * 5000,
        True,
        None,
        [],
        -1,
        -0.5,
        math.inf,
        -math.inf,
        math.nan,
        "NaN",
        "inf",
    ],
)
def test_no_quantities(value: object) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(value)


def test_bytes_are_whole() -> None:
    assert Resources.model_validate({"memory": "0.5Gi"}).memory == 2**29
    assert Resources.model_validate({"memory": 2**29}).memory == 2**29
    assert Resources.model_validate({"memory": "8.8M"}).memory == 8_800_000
    with pytest.raises(ValueError, match="whole number of bytes"):
        Resources.model_validate({"memory": "6291456.5"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (0, 0),
        ("0s", 0),
        ("1s", 1),
        ("1m30s", 90),
        ("1h", 3600),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("5ns", 5e-9),
        ("1h2m3s4ms", 3723.004),
        ("90s", 90),
        ("0.25s", 0.25),
        ("87600h", 10 * 365 * 24 * 3600),
    ],
)
def test_durations(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, abs=1e-12)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1.5",
        "s",
        "1 s",
        "-1s",
        "+1s",
        "1d",
        "1S",
        "1m 30s",
        "1h-1m",
        "1e3s",
        "٣s",
        "1.s",
        ".5s",
        1,
        2.5,
        True,
        None,
        [],
        math.nan,
        math.inf,
        "87601h",
        "9" * 5000 + "s",
    ],
)
def test_no_durations(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (90, "1m30s"),
        (60, "1m"),
        (3600, "1h"),
        (3601.5, "1h1.5s"),
        (0.25, "250ms"),
        (1e-5, "10us"),
        (5e-9, "5ns"),
        (1.000000001, "1.000000001s"),
        (59.9999999999, "1m"),
    ],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(deadline=None)
@given(st.floats(0, 10 * 365 * 24 * 3600.0))
@example(0.9999999999)
@example(1e-12)
def test_a_written_duration_is_read_back(seconds: float) -> None:
    text = format_duration(seconds)
    assert re.fullmatch(quantities._DURATION_PATTERN, text)
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12, abs=1e-9)
    assert format_duration(parse_duration(text)) == text


@settings(deadline=None)
@given(st.integers(0, 2**43), st.sampled_from(["", "Ki", "k"]))
def test_whole_quantities_are_exact(number: int, suffix: str) -> None:
    assert parse_quantity(f"{number}{suffix}") == number * {"": 1, "Ki": 1024, "k": 1000}[suffix]


@settings(deadline=None)
@given(
    st.one_of(
        st.text(), st.from_regex(quantities._QUANTITY_PATTERN), st.from_regex(quantities._DURATION_PATTERN)
    )
)
def test_the_schema_allows_what_is_read(text: str) -> None:
    """Editors check with the patterns: they must neither allow nor refuse more, but for what is too large."""
    for parse, pattern in (
        (parse_quantity, quantities._QUANTITY_PATTERN),
        (parse_duration, quantities._DURATION_PATTERN),
    ):
        allowed = re.search(pattern, text) is not None and not text.endswith("\n")
        refused = refusal(parse, text)
        if refused is None:
            assert allowed or text != text.strip()
        else:
            assert not allowed or "too large" in refused or "longer than" in refused


def refusal(parse: Callable[[str], float], text: str) -> str | None:
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return None


@settings(deadline=None)
@given(st.floats(1e-3, 1e8))
def test_a_manifest_keeps_its_durations(seconds: float) -> None:
    spec = EnvironmentSpec.model_validate({"ttl": format_duration(seconds)})
    written = spec.model_dump(mode="json")
    assert EnvironmentSpec.model_validate(written) == spec


@given(st.integers(0, 2**60) | st.sampled_from([0.5, 0.25, 1.5]))
@example(2**30)
@example(2**60 - 1)
def test_a_quantity_is_written_as_it_is_read(number: float) -> None:
    assert math.isclose(parse_quantity(format_quantity(number)), number, rel_tol=1e-14)


def test_bytes_are_written_in_the_largest_unit_that_has_no_fraction() -> None:
    numbers = 0, 0.5, 2, 1000, 2**10, 65 * 2**20, 1536 * 2**20, 2**30, 2**30 + 1
    written = "0", "0.5", "2", "1000", "1Ki", "65Mi", "1536Mi", "1Gi", "1073741825"
    assert tuple(map(format_quantity, numbers)) == written
