"""What a change would do, in words: fields, then the plan. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Sequence

from e2e.cli.keys import Key
from e2e_api.v1 import manifest_service_pb2

ACTIONS = {
    manifest_service_pb2.APPLY_ACTION_CREATED: "created",
    manifest_service_pb2.APPLY_ACTION_CHANGED: "changed",
    manifest_service_pb2.APPLY_ACTION_UNCHANGED: "unchanged",
    manifest_service_pb2.APPLY_ACTION_DELETED: "deleted",
}
_SHORT = 60


def is_different(applied: manifest_service_pb2.AppliedObject) -> bool:
    """Whether anything would change, in the manifest or in the engine."""
    return applied.action != manifest_service_pb2.APPLY_ACTION_UNCHANGED or bool(applied.plan)


def difference_lines(applied: manifest_service_pb2.AppliedObject) -> Iterator[str]:
    """What would be done about one object, a line each."""
    by = f", defined by {applied.defined_by}: change it there" if applied.defined_by else ""
    yield f"{Key.of(applied.key)} {ACTIONS.get(applied.action, 'applied')} (dry run){by}"
    for change in applied.changes:
        yield from (f"  {line}" for line in _change_lines(change))
    if applied.plan:
        yield "  plan:"
        yield from (f"    {step}" for step in applied.plan)


def summary_line(applied: Sequence[manifest_service_pb2.AppliedObject]) -> str:
    """How many objects would be what."""
    counts = {word: sum(found.action == action for found in applied) for action, word in ACTIONS.items()}
    told = [f"{count} {word}" for word, count in counts.items() if count]
    return f"{', '.join(told) or 'nothing'}; nothing was changed by this"


def _change_lines(change: manifest_service_pb2.FieldChange) -> Iterable[str]:
    old = change.old if change.HasField("old") else None
    new = change.new if change.HasField("new") else None
    if all(value is None or (len(value) <= _SHORT and "\n" not in value) for value in (old, new)):
        return [f"{change.path}: {_short(old)} -> {_short(new)}"]
    before, after = (old or "").splitlines(), (new or "").splitlines()
    compared = difflib.unified_diff(before, after, n=2, lineterm="")
    # The first two lines name files, and there are none.
    return [f"{change.path}:", *(f"  {line}" for line in list(compared)[2:])]


def _short(value: str | None) -> str:
    return "(none)" if value is None else value or '""'
