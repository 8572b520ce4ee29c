"""Errors: what the server raises, the client gets, with all of its evidence."""

import base64
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2

from e2e_api import errors
from e2e_api.errors import EVIDENCE_BYTES, E2EError, from_rpc_error, to_status
from e2e_api.v1 import metric_service_pb2, wait_service_pb2

CLASSES = [E2EError, *errors._CLASSES.values()]


class Call(grpc.RpcError):
    """What a client gets for a status."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing: Any = ()) -> None:
        self._answer = code, details, trailing

    def code(self) -> grpc.StatusCode:
        return self._answer[0]

    def details(self) -> str:
        return self._answer[1]

    def trailing_metadata(self) -> Any:
        return self._answer[2]


def over_the_wire(error: E2EError) -> E2EError:
    status = to_status(error)
    return from_rpc_error(Call(status.code, status.details, status.trailing_metadata))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_survives(cls: type[E2EError]) -> None:
    got = over_the_wire(cls("wörds", reason="ImagePullFailed", violations=[("spec.image", "missing")]))
    assert type(got) is cls
    assert (got.message, str(got), got.reason) == ("wörds", "wörds", "ImagePullFailed")
    assert got.violations == (("spec.image", "missing"),)


def test_every_class_has_a_code_of_its_own() -> None:
    assert len({cls.code for cls in CLASSES}) == len(CLASSES)
    own = {cls for cls in E2EError.__subclasses__() if cls.__module__ == errors.__name__}
    assert own == {*CLASSES[1:], errors.NotWritable}, "what has another's code is told by its reason"


def test_the_reason_is_the_class_by_default() -> None:
    assert over_the_wire(errors.Conflict("x")).reason == "Conflict"


def test_evidence_survives() -> None:
    for evidence in (wait_service_pb2.WaitFailure(), metric_service_pb2.MetricFailure()):
        assert over_the_wire(errors.WaitFailed("x", details=[evidence])).details == (evidence,)


def test_unknown_details_are_left_out() -> None:
    got = over_the_wire(errors.NotFound("x", details=[error_details_pb2.Help()]))
    assert (type(got), got.details) == (errors.NotFound, ())


@pytest.mark.parametrize("letter", ["x", "ä", "€", "😀", "%", "\n"])
def test_every_error_fits_into_the_trailers(letter: str) -> None:
    violations = [(f"spec.{letter * 20}{number}", letter * 1_000) for number in range(100)]
    evidence = wait_service_pb2.WaitFailure()
    evidence.failed.add(source="x" * (EVIDENCE_BYTES - 10))
    for sent in (violations, []), ([], [evidence]), (violations, [evidence]), ([], []):
        error = errors.InvalidArgument(letter * 100_000, violations=sent[0], details=sent[1])
        status = to_status(error)
        packed = len(base64.b64encode(status.trailing_metadata[0][1]))
        assert packed + len(quote(status.details, safe=" ")) < 7_700
        got = over_the_wire(error)
        assert got.message.endswith(letter + "…")
        assert list(got.details) == sent[1]
        assert got.violations or sent[1] or not sent[0]


def test_a_long_message_has_the_room_that_the_evidence_does_not_need() -> None:
    text = "a line of an error's text\n" * 100
    assert over_the_wire(errors.InvalidArgument(text)).message == text


def test_evidence_that_is_too_large_is_left_out() -> None:
    evidence = wait_service_pb2.WaitFailure()
    evidence.failed.add(source="x" * EVIDENCE_BYTES)
    assert over_the_wire(errors.WaitFailed("x", details=[evidence])).details == ()


def test_what_only_reads_is_told_from_a_wait_in_vain() -> None:
    """Both are FAILED_PRECONDITION."""
    got = over_the_wire(errors.NotWritable("x"))
    assert (type(got), got.reason, got.action) == (errors.NotWritable, "NotWritable", "fix-manifest")
    assert type(over_the_wire(errors.WaitFailed("x", reason="Exited"))) is errors.WaitFailed


def test_a_timeout_is_pythons_too() -> None:
    with pytest.raises(TimeoutError):
        raise errors.WaitTimeout("x")


@pytest.mark.parametrize("trailing", [None, ()])
def test_an_error_that_is_none_of_ours(trailing: Any) -> None:
    got = from_rpc_error(Call(grpc.StatusCode.UNAVAILABLE, "connection refused", trailing))
    assert (type(got), got.message, got.reason) == (errors.Unavailable, "connection refused", "UNAVAILABLE")
    got = from_rpc_error(Call(grpc.StatusCode.CANCELLED, "", trailing))
    assert (type(got), got.message) == (E2EError, "CANCELLED")


def failed_object(action: str) -> Any:
    failure = wait_service_pb2.WaitFailure()
    failure.failed.add().status.action = action
    return failure


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.InvalidArgument("x"), "fix-manifest"),
        (errors.Conflict("x", reason="DefinedByFile"), "fix-manifest"),
        (errors.Conflict("x", reason="Held"), "retry"),
        (errors.NotRunning("x"), "see-evidence"),
        (errors.NotRunning("x", reason="ScrapeFailed"), "retry"),
        (errors.WaitTimeout("x"), "retry"),
        (errors.Unavailable("x"), "retry"),
        (errors.WaitFailed("x", reason="PortTaken"), "fix-machine"),
        (errors.WaitFailed("x", reason="Exited"), "see-evidence"),
        # What the controller found out counts more than the reason alone.
        (
            errors.WaitFailed("x", reason="ImagePullFailed", details=[failed_object("fix-machine")]),
            "fix-machine",
        ),
        (errors.E2EError("x", reason="Internal"), "see-evidence"),
    ],
)
def test_every_error_says_what_helps_on_both_sides(error: E2EError, action: str) -> None:
    assert error.action == action
    assert over_the_wire(error).action == action
