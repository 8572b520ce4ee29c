"""What all parts of manifests are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

FIELD_ERROR = "field_error"
"""Type of the errors whose context has the `field` they are about, below the place that was validated."""
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
PortName = DnsLabel


def field_error(field: str, message: str) -> PydanticCustomError:
    """An error about a field below the place that is validated."""
    context = {"top": field.partition(".")[0], "field": field, "message": message}
    return PydanticCustomError(FIELD_ERROR, "{top}: {message}", context)


def as_tuple(value: object) -> object:
    """What YAML has as a list."""
    return tuple(value) if isinstance(value, list) else value


class Model(BaseModel):
    """Base of all parts: frozen, strict, camelCase in manifests."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )
