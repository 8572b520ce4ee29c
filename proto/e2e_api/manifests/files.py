"""Files that are in a container before it starts."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from e2e_api.manifests.base import Model, field_error
from e2e_api.manifests.texts import AbsolutePath, OnChange, is_below, normal_path

_HIDDEN = ("/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""Where the engine puts its own over whatever is there."""
_DECIMAL_MODES = (400, 440, 444, 550, 555, 600, 640, 644, 660, 664, 666, 700, 750, 755, 775, 777)
"""Modes that nobody means, as octal they are 620 and more: permissions whose leading 0 was forgotten."""

Rendered = Literal["MetricTargets", "ProfileTargets", "MetricJobs"]
"""What the text of a file may be rendered from."""
METRIC_JOBS: Rendered = "MetricJobs"


def _can_be_a_file(value: str) -> str:
    normal = normal_path(value)
    if normal == "/" or value.endswith(("/", "/.", "/..")):
        raise ValueError(f"expected the path of a file, not of a folder: {value[:80]!r}")
    if hiding := next((folder for folder in _HIDDEN if is_below(normal, folder)), None):
        raise ValueError(f"would not be seen: the engine puts its own {hiding} over the image's")
    return value


def _is_octal(value: int) -> int:
    if value in _DECIMAL_MODES:
        raise ValueError(f"{value} is {value:#o}: write 0{value} in YAML, {int(str(value), 8)} in JSON")
    return value


FilePath = Annotated[AbsolutePath, AfterValidator(_can_be_a_file)]
FileMode = Annotated[int, Field(ge=0, le=0o7777), AfterValidator(_is_octal)]


class File(Model):
    """A file that is in the container before it starts."""

    path: FilePath
    content: str | None = None
    """Its text; or else `from` says what it is rendered from."""
    from_: Rendered | None = Field(default=None, alias="from")
    """Kept current by the controller: in Prometheus' `file_sd` format the environment's workloads that have
    `metrics` (MetricTargets) or `profiles` (ProfileTargets); or `content`, a configuration of Prometheus,
    with a scrape job more for each workload whose metrics ask for credentials (MetricJobs)."""
    mode: FileMode = 0o644
    on_change: OnChange | None = None
    """What another text does: Recreate the container, or write the file into the one that is there and
    Restart it, send it a signal as in `Signal(SIGHUP)`, or do nothing more (None).
    Absent: Recreate for a `content`, None with `from`, Signal(SIGHUP) with MetricJobs."""

    @property
    def reaction(self) -> str:
        """What another text does."""
        if self.on_change is not None:
            return self.on_change
        return {None: "Recreate", METRIC_JOBS: "Signal(SIGHUP)"}.get(self.from_, "None")

    @property
    def is_live(self) -> bool:
        """Whether other text is written into the container that is there."""
        return self.reaction != "Recreate"

    @model_validator(mode="after")
    def _has_a_text(self) -> Self:
        if self.content is None and self.from_ in (None, METRIC_JOBS):
            other = "" if self.from_ else "; or give `from`: MetricTargets or ProfileTargets"
            raise field_error("content", f"is missing{other}")
        if self.content is not None and self.from_ == METRIC_JOBS:
            self._check_configuration(self.content)
        elif self.content is not None and self.from_ is not None:
            raise field_error("content", f"comes from {self.from_}: leave it out, or `from`")
        if self.from_ is not None and not self.is_live:
            message = f"a file from {self.from_} is written into the container that is there: expected None, "
            raise field_error("onChange", f"{message}Restart or a signal, not Recreate")
        return self

    def _check_configuration(self, content: str) -> None:
        from e2e_api.prometheus import check_configuration  # YAML is slow to load, and most need none

        try:
            check_configuration(content)
        except ValueError as error:
            message = f"{self.from_} adds to a configuration of Prometheus: {error}"
            raise field_error("content", message) from None
