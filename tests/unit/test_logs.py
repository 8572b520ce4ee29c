import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e_controller.drivers.base import ContainerSpec, DriverError, Key
from e2e_controller.drivers.fake import FakeDriver
from e2e_controller.logs import json_formatter, text_formatter
from e2e_controller.reconcile.execute import Execution
from e2e_controller.reconcile.notes import Notebook
from e2e_controller.reconcile.steps import Create, Plan, Start

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = Key("shop", "Workload", "web")
UTC_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Page(io.StringIO):
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def page() -> Iterator[Page]:
    """What the controller logs as JSON."""
    page = Page()
    handler = logging.StreamHandler(page)
    handler.setFormatter(json_formatter())
    logger = logging.getLogger("e2e_controller")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield page
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_a_line_is_a_document_with_its_time_in_utc(page: Page) -> None:
    logging.getLogger("e2e_controller.x").warning("hello %s", "you", extra={"key": str(KEY)})
    (line,) = page.documents()
    assert re.fullmatch(UTC_TIME, line.pop("time"))
    assert line == {
        "level": "WARNING",
        "logger": "e2e_controller.x",
        "message": "hello you",
        "key": "shop/Workload/web",
    }


def test_an_exception_is_a_field_not_more_lines(page: Page) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("e2e_controller.x").exception("it failed")
    (line,) = page.documents()
    assert "two\nlines" in line["exc_info"]


async def test_steps_tell_their_key_and_duration(page: Page) -> None:
    times = iter(NOW + timedelta(seconds=seconds) for seconds in (0, 0.25, 1, 3))
    driver = FakeDriver(images=["busybox:1.36"])
    driver.fail("start", DriverError("no more room"))
    execution = Execution(driver, Notebook(driver), KEY, None, lambda _step, _text: None, lambda: next(times))
    create = Create("there is none", ContainerSpec("busybox:1.36"), "hash")
    await driver.ensure_network("shop")
    await execution.run(Plan((create, Start("it is new", None))))
    created, failed = page.documents()
    assert {name: created[name] for name in ("key", "step", "duration")} == {
        "key": "shop/Workload/web",
        "step": "create",
        "duration": 0.25,
    }
    assert created["message"] == "shop/Workload/web: create took 0.250s"
    assert (failed["level"], failed["step"], failed["duration"]) == ("WARNING", "start", 2.0)
    assert "no more room" in failed["message"]


def test_a_message_is_one_line() -> None:
    forged = "x.yaml\n2026-01-31T12:00:00.005Z INFO x: all is well\x1b[2J\u2028é"
    record = logging.LogRecord("x", logging.INFO, "", 1, "cannot read %s", (forged,), None)
    written = text_formatter().format(record)
    assert written.isprintable()
    assert written.endswith(r"x.yaml\n2026-01-31T12:00:00.005Z INFO x: all is well\x1b[2J\u2028é")


def test_people_see_the_time_in_utc_too() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "hello", (), None)
    record.created = datetime(2026, 1, 31, 12, 0, 0, 5000, UTC).timestamp()
    assert text_formatter().format(record) == "2026-01-31T12:00:00.005Z INFO x: hello"
