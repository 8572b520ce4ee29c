"""The controller's command line: its help, and the settings that it makes together with the other sources."""

import argparse
from typing import Any

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_settings import CliApp, CliSettingsSource

from e2e_api.quantities import format_duration
from e2e_controller.settings import Settings

_EPILOG = """\
Each setting is also a variable, which stands in brackets, and a key of the YAML file that --config or
E2E_CONFIG names: `state_dir: /var/lib/e2e` for --state-dir. A flag wins against the variable, the variable
against the file. Lists in a variable are separated by commas. Durations are written as 250ms or 1m30s, or
as a number of seconds.

Exit codes: 0 stopped by a signal or unused, 1 --delete-on-exit left something behind, 2 a setting is wrong,
3 it cannot start, 4 another controller uses the state folder.
"""
_METAVARS = {
    "config": "FILE",
    "tls_cert": "FILE",
    "tls_key": "FILE",
    "tls_client_ca": "FILE",
    "token_file": "FILE",  # nosec B105
    "tokens": "FILE",
    "folder": "FOLDER",
    "state_dir": "FOLDER",
    "secrets_dir": "FOLDER",
    "listen": "ADDRESS",
    "http": "HOST:PORT",
    "health_socket": "PATH",
    "engine": "ADDRESS",
    "image_mirror": "REGISTRY",
    "policy": "POLICY",
    "address_pool": "RANGE",
    "subnet_prefix": "LENGTH",
    "controller_id": "NAME",
    "default_environment": "NAME",
}
_BY_TYPE = {float: "NUMBER", int: "NUMBER"}


def read_settings(arguments: list[str]) -> Settings:
    """Flags, variables and file together. Raises `ValidationError`, `SettingsError`; ends after `--help`."""
    parser = argparse.ArgumentParser(
        "e2e-controller",
        description=Settings.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    source: CliSettingsSource[Settings] = CliSettingsSource(
        Settings, root_parser=parser, add_argument_method=_add_argument
    )
    return CliApp.run(Settings, cli_args=arguments, cli_settings_source=source)


def _add_argument(parser: argparse.ArgumentParser, *flags: str, **options: Any) -> argparse.Action:
    """In words: the kind of value that a person gives, the variable, and the default as it is written."""
    name = flags[-1].lstrip("-").replace("-", "_")
    if name in Settings.model_fields:
        if "metavar" in options:
            options["metavar"] = _metavar(name, options["metavar"])
        if options.get("help") is not argparse.SUPPRESS:
            options["help"] = _help(name)
    return parser.add_argument(*flags, **options)


def _metavar(name: str, given: str) -> str:
    if given.startswith("{") and name not in _METAVARS:
        return given  # the choices
    field = Settings.model_fields[name]
    if _is_duration(field):
        return "DURATION"
    annotation = field.annotation
    return _METAVARS.get(name) or next(
        (text for type_, text in _BY_TYPE.items() if annotation is type_), "TEXT"
    )


def _help(name: str) -> str:
    field = Settings.model_fields[name]
    default = field.default
    if field.annotation is float:
        default = format_duration(default) if _is_duration(field) else f"{default:g}"
    shown = isinstance(default, str | int) and not isinstance(default, bool) and default != ""
    about = f"E2E_{name.upper()}" + (f"; default: {default}" if shown else "")
    return f"{field.description} [{about}]"


def _is_duration(field: FieldInfo) -> bool:
    """Whether it is of the type `Seconds`."""
    return field.annotation is float and any(isinstance(item, BeforeValidator) for item in field.metadata)
