"""Quantities and durations as Kubernetes and Go write them, as pydantic types."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3})|([a-zA-Z]{0,2}))")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$"
_QUANTITY_PATTERN = r"^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?$"
FROM_MANIFEST = "from_manifest"
"""Key of the validation context that says that a value was written in a manifest."""
_LONGEST = 10 * 365 * 24 * 3600.0
_LARGEST = 2.0**60


def parse_quantity(value: Any) -> float:
    """Turns `256Mi`, `0.5`, `500m` or a number into a number. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a quantity such as 256Mi, 500m or 0.5")
    match = _QUANTITY.fullmatch(str(value).strip())
    suffix = (match[3] or "") if match else None
    if match is None or suffix not in {**_BINARY, **_DECIMAL}:
        raise ValueError(f"expected a quantity such as 256Mi, 500m or 0.5, not {str(value)[:40]!r}")
    if suffix in _BINARY:
        number = float(Decimal(match[1]) * 2 ** _BINARY[suffix])
    else:
        # Through text, and so exact: 0.1 and 3 * 0.1 have no exact float.
        number = float(f"{match[1]}e{match[2] or _DECIMAL[suffix]}")
    if number > _LARGEST:
        raise ValueError(f"quantity {str(value)[:40]!r} is too large")
    return number


def format_quantity(number: float) -> str:
    """Writes a number as `64Mi` or `0.5`; `parse_quantity` reads it back."""
    fitting = (unit for unit, power in reversed(_BINARY.items()) if number >= 1 and number % 2**power == 0)
    unit = next(fitting, "")
    value = number / 2 ** _BINARY.get(unit, 0)
    # Of a fraction, fifteen digits: what a float keeps of any number, so that three times 0.1 is 0.3.
    return f"{int(value) if value.is_integer() else format(value, '.15g')}{unit}"


def parse_duration(value: Any) -> float:
    """Turns `1m30s`, `250ms` or `0` into seconds. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("expected a duration such as 1m30s or 250ms")
    text = str(value).strip()
    if text == "0":
        return 0.0
    if not re.fullmatch(_DURATION_PATTERN, text):
        unit = f"; write {text[:40]}s for seconds" if re.fullmatch(r"[0-9.]+", text) else ""
        raise ValueError(f"expected a duration such as 1m30s or 250ms, not {text[:40]!r}{unit}")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _LONGEST:
        raise ValueError(f"duration {text[:40]!r} is longer than ten years")
    return seconds


def format_duration(seconds: float) -> str:
    """Writes seconds as `1m30s` or `250ms`; `parse_duration` reads it back to the nanosecond."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("us", 1_000), ("ns", 1)):
            if nanoseconds % size == 0:
                return f"{nanoseconds // size}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1_000_000_000)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    return "".join(parts) + (f"{whole}{digits}s" if rest else "")


def _parse_duration(value: Any, info: ValidationInfo) -> float:
    """Python may give seconds as a number; a manifest must give the unit."""
    in_manifest = isinstance(info.context, dict) and info.context.get(FROM_MANIFEST)
    if isinstance(value, int | float) and not isinstance(value, bool) and not in_manifest:
        if not 0 <= value <= _LONGEST:
            raise ValueError(f"expected seconds from 0 to ten years, not {value}")
        return float(value)
    return parse_duration(value)


def _parse_bytes(value: Any) -> int:
    number = parse_quantity(value)
    if number != int(number):
        raise ValueError(f"expected a whole number of bytes, not {str(value)[:40]!r}")
    return int(number)


def _quantity_schema(example: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": _QUANTITY_PATTERN}
    return WithJsonSchema({"anyOf": [text, {"type": "number", "minimum": 0}], "examples": [example]})


Duration = Annotated[
    float,
    BeforeValidator(_parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": _DURATION_PATTERN}, {"const": 0}],
            "examples": ["1m30s", "250ms"],
        }
    ),
]
"""Seconds; written `1m30s`."""

Bytes = Annotated[int, BeforeValidator(_parse_bytes), _quantity_schema("256Mi")]
"""A whole number of bytes; written `256Mi`."""

Cpus = Annotated[float, BeforeValidator(parse_quantity), _quantity_schema("500m")]
"""Cores; written `0.5` or `500m`."""
