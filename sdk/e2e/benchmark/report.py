"""What a measured phase was: its figures as data, as JSON, as Markdown and as a page."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e.benchmark.asked import QueryFigures
from e2e.benchmark.usage import Usage
from e2e_api.errors import InvalidArgument

FORMAT = 1
"""Of the JSON document; another number means that older files are read otherwise."""


@dataclass(frozen=True, slots=True)
class Report:
    """One phase."""

    name: str
    environment: str
    started: datetime
    """By Prometheus' clock."""
    seconds: float
    """How long the phase took, by this process' clock."""
    usage: tuple[Usage, ...]
    """Of each workload that was told of, and of the test process; by name."""
    queries: tuple[QueryFigures, ...] = ()
    notes: tuple[str, ...] = ()
    """What makes figures doubtful."""

    def of(self, name: str) -> Usage:
        """What that workload, or `test-process`, used. Raises KeyError that names those there are."""
        for usage in self.usage:
            if usage.name == name:
                return usage
        known = ", ".join(usage.name for usage in self.usage) or "nobody"
        raise KeyError(f"nothing was told of {name}; of {known}")

    def query(self, name: str) -> QueryFigures:
        """What the query of that name said. Raises KeyError that names those there are."""
        for query in self.queries:
            if query.name == name:
                return query
        known = ", ".join(query.name for query in self.queries) or "none"
        raise KeyError(f"there was no query {name}; there was {known}")

    @property
    def figures(self) -> Mapping[str, float]:
        """All numbers that can be compared, by name: `seconds`, `web: cpu_seconds`, a query's name."""
        found = {"seconds": self.seconds}
        for usage in self.usage:
            known = {name: value for name, value in usage.figures.items() if value is not None}
            found |= {f"{usage.name}: {name}": value for name, value in known.items()}
        for query in self.queries:
            for series in query.series:
                words = f"{query.name} ({series.words})" if series.labels else query.name
                found[words] = series.mean
        return found

    def document(self) -> dict[str, Any]:
        """As JSON has it: what is no number there is null; curves as pairs of seconds and value."""
        found: dict[str, Any] = _finite(
            {"format": FORMAT, **asdict(self), "started": self.started.isoformat()}
        )
        return found

    def to_json(self) -> str:
        """All of it."""
        return json.dumps(self.document(), indent=1) + "\n"

    def to_markdown(self) -> str:
        """Tables for a README or a comment."""
        from e2e.benchmark import markdown

        return markdown.of_report(self)

    def to_html(self) -> str:
        """A page with plots that needs nothing else. Raises InvalidArgument without the extra `report`."""
        from e2e.benchmark import page

        return page.of_report(self)

    @classmethod
    def read(cls, path: str | Path) -> "Report":
        """The report in a JSON file that `write` wrote. Raises InvalidArgument for any other; OSError."""
        from pydantic import TypeAdapter, ValidationError

        try:
            document = json.loads(Path(path).read_text())
            if document.pop("format") != FORMAT:
                raise InvalidArgument(f"{path}: not a report of format {FORMAT}")
            for query in document["queries"]:
                query["series"] = [_with_nan(series) for series in query["series"]]
            return TypeAdapter(cls).validate_python(document)
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise InvalidArgument(f"{path}: not a benchmark's report: {error}") from error

    def write(self, folder: str | Path, name: str = "") -> Path:
        """Writes `<name>.json`, `.md` and `.html`, by default with the phase's name; gives the first's path.

        Raises InvalidArgument without the extra `report`, after the first two are written; OSError.
        """
        return write(self, Path(folder), name or self.name)

    def __str__(self) -> str:
        return self.to_markdown()


def write(document: Any, folder: Path, name: str) -> Path:
    """All three files of what has the three texts."""
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
    path = base.with_name(f"{base.name}.json")
    path.write_text(document.to_json())
    base.with_name(f"{base.name}.md").write_text(document.to_markdown())
    base.with_name(f"{base.name}.html").write_text(document.to_html())
    return path


def _with_nan(value: Any) -> Any:
    """What `_finite` made null is no number again."""
    if isinstance(value, dict):
        return {name: _with_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_nan(inner) for inner in value]
    return math.nan if value is None else value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
