"""`e2e doctor`: what is missing on this machine, and how to get it."""

from collections.abc import Iterable

import click

from e2e.cli import checks, usage
from e2e.cli.checks import Finding, Mark
from e2e.cli.files import Given, find_manifests
from e2e.cli.options import files_option

_COLOURS = {Mark.GOOD: "green", Mark.WARNING: "yellow", Mark.BAD: "red"}


@click.command(short_help="Look for what is missing on this machine.")
@files_option
@click.pass_context
def command(context: click.Context, files: tuple[str, ...]) -> int:
    """Looks at the engine, the state folder, limits, the controller, and with -f at the manifests' images.

    And at what cAdvisor can see of the containers' use of the machine.

    Ends with 1 when something that is needed is missing; each ✗ says how to get it. With a controller that is
    named, no engine is needed here.
    """
    given: list[Given] = []
    worst = [_show(checks.check_package())]
    if files:
        given, problems = find_manifests(files, None)
        valid = Finding(Mark.GOOD, f"manifests: {len(given)} are valid")
        worst.append(_show([Finding(Mark.BAD, f"manifests:\n{problems}") if problems else valid]))
    images = checks.wanted_images(given)
    answer, named = checks.ask_engine(list(images)), checks.named_controller(context.obj)
    worst += [
        _show(findings)
        for findings in (
            checks.check_engine(answer, named),
            checks.check_images(images, answer),
            checks.check_builds(given),
            usage.check_usage(answer),
            checks.check_state(named),
            checks.check_inotify(),
            checks.check_cgroups(),
            checks.check_controller(context.obj, engine_answers="error" not in answer),
        )
    ]
    return int(any(worst))


def _show(findings: Iterable[Finding]) -> bool:
    """Writes the findings as they come; gives whether one is bad."""
    bad = False
    for finding in findings:
        bad = bad or finding.mark is Mark.BAD
        first, *rest = finding.text.splitlines()
        click.echo(f"{click.style(finding.mark, fg=_COLOURS[finding.mark])} {first}")
        for line in [*rest, *([f"remedy: {finding.remedy}"] if finding.remedy else [])]:
            click.echo(f"    {line}")
    return bad
