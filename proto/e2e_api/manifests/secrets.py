"""Values that manifests point to instead of holding them, and how they reach a container."""

from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from e2e_api.manifests.base import Model
from e2e_api.manifests.files import FileMode, FilePath
from e2e_api.manifests.texts import Matching
from e2e_api.quantities import FROM_MANIFEST

VARIABLE_PREFIX = "E2E_SECRET_"
"""What begins the names of those variables of the controller that manifests may ask for."""
_NO_TEXT = "expected text; if it is meant as text, put quotes around it"
_ONE_OF = "expected exactly one of file, variable and value"


def _kept_to_itself(value: Any) -> Any:
    """Before pydantic has its say: what is no text may be the secret all the same."""
    if value is None or isinstance(value, str):
        return value
    raise ValueError(_NO_TEXT)


class Secret(Model):
    """Where a secret text comes from: one of these."""

    model_config = ConfigDict(hide_input_in_errors=True)

    file: Annotated[
        str | None, Matching(r"^[^\x00-\x1f\x7f]+$", "the path of a file, relative or absolute")
    ] = None
    """A file that the controller reads, below its `--secrets-dir`, or below the watched folder of the
    manifest. A relative path is relative to the manifest's folder; of one that was applied, to the former."""
    variable: Annotated[
        str | None,
        Matching(
            rf"^{VARIABLE_PREFIX}[A-Za-z0-9_]+$", f"a variable whose name begins with {VARIABLE_PREFIX}"
        ),
    ] = None
    """A variable of the controller."""
    value: Annotated[str | None, BeforeValidator(_kept_to_itself)] = Field(default=None, repr=False)
    """The text itself, for what a program makes; in a file that people keep it is none."""

    @model_validator(mode="before")
    @classmethod
    def _of_fields(cls, value: Any) -> Any:
        """What was given instead may be the secret."""
        if isinstance(value, dict | Secret):
            return value
        raise ValueError("expected a mapping with file, variable or value")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if [self.file, self.variable, self.value].count(None) != 2:
            raise ValueError(_ONE_OF)
        return self


class ValueFrom(Model):
    """A variable's value that is a secret."""

    value_from: Secret


def _text_or_source(value: Any, info: ValidationInfo) -> str | ValueFrom:
    """Of the two, the one that was meant tells what is wrong with it."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict | ValueFrom):  # what it is may be the secret
        raise ValueError(_NO_TEXT)
    in_manifest = bool((info.context or {}).get(FROM_MANIFEST))
    return ValueFrom.model_validate(value, by_alias=True, by_name=not in_manifest)


class _Either:
    """Validates by `_text_or_source`, and is written as whichever it is."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _text_or_source, json_schema_input_schema=handler(source)
        )


VariableValue = Annotated[str | ValueFrom, _Either()]


class SecretFile(Model):
    """A file with a secret, which is there before the container starts. Another secret: another container."""

    path: FilePath
    from_: Secret = Field(alias="from")
    mode: FileMode = 0o400
    uid: Annotated[int, Field(ge=0, le=2**32 - 2)] | None = None
    """Whose it is, by number; absent: the container's user's."""
