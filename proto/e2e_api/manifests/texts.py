"""What texts in manifests may be: checked here, so that no engine has to refuse them in its own words."""

import posixpath
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic_core import CoreSchema, core_schema

_LINE = r"[^\x00-\x1f\x7f]"
"""A character that is none of control: no line break, no tab."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Text that matches; `expected` says in words what that is. Errors about a `secret` leave it out."""

    pattern: str
    expected: str
    secret: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "pattern": self.pattern}

    def _check(self, value: str) -> str:
        if re.fullmatch(self.pattern, value):
            return value
        raise ValueError(f"expected {self.expected}" + ("" if self.secret else f", not {value[:80]!r}"))


def normal_path(path: str) -> str:
    """The one way of writing an absolute path; POSIX has two slashes at its beginning mean something else."""
    return "/" + posixpath.normpath(path).lstrip("/")


def is_below(path: str, folder: str) -> bool:
    """Whether a normal path is a folder or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


AbsolutePath = Annotated[str, Matching(rf"^/{_LINE}*$", "an absolute path: it begins with /")]
UrlPath = Annotated[
    str, Matching(r"^/[^\x00-\x1f\x7f#]*$", "a path that begins with /, without # and line breaks")
]
User = Annotated[
    str,
    Matching(
        r"^([^:\s\x00-\x1f\x7f]+(:[^:\s\x00-\x1f\x7f]+)?)?$",
        "user or user:group, such as nobody or 1000:1000",
    ),
]
VariableName = Annotated[
    str, Matching(r"^[^=\x00-\x1f\x7f]+$", "a variable's name: without = and line breaks")
]
HeaderName = Annotated[
    str, Matching(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "a header's name: letters, digits and -, no spaces")
]
HeaderValue = Annotated[
    str, Matching(r"^[^\x00-\x08\x0a-\x1f\x7f]*$", "a header's value: without line breaks", secret=True)
]


def _sendable(value: Any) -> Any:
    """Whether a header can carry it. The errors do not tell what it is."""
    if value is not None and not isinstance(value, str):
        raise ValueError("expected text; if it is meant as text, put quotes around it")
    if value is not None and (not value or re.search(r"[\x00-\x1f\x7f]", value)):
        raise ValueError("expected text of one line, and not an empty one")
    return value


SecretText = Annotated[str, BeforeValidator(_sendable)]
"""Text that stands in no error, and in no manifest that is shown."""

_SIGNAL_NAME = (
    "SIG(ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM"
    "|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ"
    r"|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?)"
)
"""Those of Linux, as the engine knows them."""
Signal = Annotated[
    str,
    Matching(
        rf"^({_SIGNAL_NAME}|[1-9]|[1-5][0-9]|6[0-4])$", "a signal such as SIGTERM, or its number from 1 to 64"
    ),
]
OnChange = Annotated[
    str,
    Matching(
        rf"^(Recreate|Restart|None|Signal\({_SIGNAL_NAME}\))$",
        "Recreate, Restart, None or a signal such as Signal(SIGHUP)",
    ),
]

_HOST = (
    r"([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])"
)
_PART = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
ImageReference = Annotated[
    str,
    StringConstraints(max_length=512),  # the pattern's time grows with the square of the length
    Matching(
        rf"^({_HOST}(:[0-9]+)?/)?{_PART}(/{_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
        r"(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$",
        "an image such as quay.io/prometheus/prometheus:v3.5.0: lowercase, without scheme and spaces",
    ),
]

_RESERVED = "io.e2e."


def _not_reserved(name: str) -> str:
    if not name:
        raise ValueError("expected a label's name, not an empty text")
    if name.startswith(_RESERVED):
        raise ValueError(f"labels that begin with {_RESERVED} are the controller's own: take another name")
    return name


LabelName = Annotated[str, AfterValidator(_not_reserved)]
