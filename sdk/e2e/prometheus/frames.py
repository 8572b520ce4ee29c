"""Results as pandas' frames, where pandas is installed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from e2e_api.errors import InvalidArgument

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]

_OURS = ("time", "value")


class Row(NamedTuple):
    """One value of one series."""

    labels: Mapping[str, str]
    time: datetime
    value: float | str


def frame(rows: Iterable[Row]) -> "pandas.DataFrame":
    """The rows; a column for each label, then `time` and `value`. Raises InvalidArgument without pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise InvalidArgument("to_pandas() needs pandas: `pip install pandas`", reason="NoPandas") from None
    known = list(rows)
    names = sorted({name for row in known for name in row.labels})
    columns: dict[str, list[object]] = {
        f"label_{name}" if name in _OURS else name: [row.labels.get(name, "") for row in known]
        for name in names
    }
    columns["time"] = [row.time for row in known]
    columns["value"] = [row.value for row in known]
    found = pd.DataFrame(columns)
    found["time"] = pd.to_datetime(found["time"], utc=True)
    return found
