"""Gathers all that is known of an environment, as files. What cannot be had is told, and stops nothing."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import yaml
from google.protobuf.json_format import MessageToDict

from e2e_api.manifests import Workload
from e2e_controller.drivers.base import Container, DriverError, Key
from e2e_controller.events import EventLog
from e2e_controller.masking import Mask, masked_inspection, secret_variables, secrets_of, variables_of
from e2e_controller.metrics import ScrapeError, Scraper
from e2e_controller.objects import FILE, WORKLOAD, Object
from e2e_controller.server.access import Access
from e2e_controller.server.convert import event_to_proto, masked_document, object_to_proto
from e2e_controller.server.metric_targets import MetricTarget

MOST_LOG_BYTES = 20 * 2**20
"""Of the end of one log."""
MOST_BYTES = 256 * 2**20
"""Of all logs together."""
_LEAST_LOG_BYTES = 64 * 2**10
_LOG_SECONDS, _CALL_SECONDS = 60.0, 10.0
_LAYOUT = """\
manifests/   what was asked for, a file an object
status/      what the controller knows of each: conditions, ends, last log lines, phases of its start
events.json  what happened, oldest first
logs/        what each container wrote; *.previous.log is the end of the log of the container before
inspect/     what the engine says of each container
metrics/     the page of each workload that serves metrics, of now or the last that was read
controller/  the controller's version, its engine, its own metrics; its log where it is an embedded one
Secrets are masked: what manifests take from elsewhere, values of variables whose names say so, passwords in
URLs, and all of these wherever they stand.
"""


@dataclass(frozen=True, slots=True)
class File:
    """One file of the evidence."""

    path: str
    data: bytes
    note: str = ""


@dataclass(slots=True)
class Gathering:
    """One environment's evidence being gathered."""

    access: Access
    events: EventLog
    scraper: Scraper
    own_metrics: bytes
    environment: str
    log_bytes: int
    now: datetime
    _missing: list[str] = field(default_factory=list)
    _listed: list[str] = field(default_factory=list)

    async def files(self) -> AsyncIterator[File]:
        """All files; the last is `index.txt`, which says what is where, and what is not there."""
        objects = self.access.store.select(self.environment)
        inspected = await self._inspect_all(objects)
        mask = Mask(self._secrets(inspected.values()))
        async for file in self._all(objects, inspected):
            hidden = await asyncio.to_thread(mask.hide, file.data)
            note = f" ({file.note})" if file.note else ""
            self._listed.append(f"  {file.path}: {len(hidden)} bytes{note}")
            yield File(file.path, hidden)
        yield File("index.txt", mask.hide(self._index().encode()))

    async def _all(
        self, objects: Sequence[Object], inspected: Mapping[Key, Mapping[str, Any]]
    ) -> AsyncIterator[File]:
        for object_ in objects:
            name = f"{object_.key.kind}.{object_.key.name.replace('/', '_')}"  # a File's is a path
            if object_.manifest is not None:
                yield File(f"manifests/{name}.yaml", _yaml(masked_document(object_)))
            status = MessageToDict(object_to_proto(object_))
            status.pop("document", None)
            yield File(f"status/{name}.json", _json(status))
        kept = [event for event in self.events.kept() if event.key.environment == self.environment]
        yield File("events.json", _json([MessageToDict(event_to_proto(event)) for event in kept]))
        for object_ in objects:
            if (document := inspected.get(object_.key)) is not None:
                shown = masked_inspection(document, names=secret_variables(object_.manifest))
                yield File(f"inspect/{_short(object_.key)}.json", _json(shown))
        limit = self._log_limit(len(inspected))
        for object_ in objects:
            async for file in self._of_container(object_, inspected.get(object_.key), limit):
                yield file
        yield File("controller/about.json", _json(await self._about()))
        yield File("controller/metrics.txt", self.own_metrics)

    async def _of_container(
        self, object_: Object, inspected: Mapping[str, Any] | None, limit: int
    ) -> AsyncIterator[File]:
        name = _short(object_.key)
        if inspected is not None:
            yield await self._log(f"logs/{name}.log", str(inspected["Id"]), limit)
        elif object_.status.last_log_lines:
            lines = object_.status.last_log_lines
            yield File(f"logs/{name}.log", _text(lines), f"the last {len(lines)} lines")
        if object_.status.past is not None:
            lines = object_.status.past.log_lines
            yield File(f"logs/{name}.previous.log", _text(lines), f"the last {len(lines)} lines")
        instrumented = isinstance(object_.manifest, Workload) and object_.manifest.spec.metrics
        if instrumented and (page := await self._metrics(object_.key)) is not None:
            yield page

    async def _inspect_all(self, objects: Sequence[Object]) -> dict[Key, Mapping[str, Any]]:
        keys = [object_.key for object_ in objects if object_.key.kind != FILE and object_.status.container]
        found = await asyncio.gather(*(self._inspect(key) for key in keys))
        return {key: document for key, document in zip(keys, found, strict=True) if document is not None}

    async def _inspect(self, key: Key) -> Mapping[str, Any] | None:
        driver = self.access.driver
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                container: Container | None = await driver.inspect(key)
                if container is not None:
                    return await driver.describe(container.id)
        except (DriverError, TimeoutError) as error:
            self._miss(f"inspect/{_short(key)}.json", error)
            self._miss(f"logs/{_short(key)}.log", error)
            return None
        self._miss(f"inspect/{_short(key)}.json", "there is no container")
        return None

    async def _log(self, path: str, container_id: str, limit: int) -> File:
        tail = _Tail(limit)
        try:
            async with asyncio.timeout(_LOG_SECONDS):
                async for output in self.access.driver.logs(container_id, timestamps=True):
                    tail.add(output.data)
        except (DriverError, TimeoutError) as error:
            self._miss(path, error)
        return File(path, tail.data(), f"the end of {tail.seen} bytes" if tail.is_cut else "")

    async def _metrics(self, key: Key) -> File | None:
        path = f"metrics/{key.name}.txt"
        try:
            page = await MetricTarget(self.access, self.scraper, key).fetch()
        except ScrapeError as error:
            last = self.scraper.last(str(key))
            if last is None:
                self._miss(path, error)
                return None
            page, note = last, f"the last that was read; now: {error}"
            return File(path, page.text.encode(), note)
        return File(path, page.text.encode())

    async def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = {"version": version("e2e-controller"), "time": self.now.isoformat()}
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                info = await self.access.driver.info()
        except (DriverError, TimeoutError) as error:
            self._miss("what the engine says of itself", error)
            info = self.access.info  # of the controller's start
        fields = ("name", "version", "api_version", "operating_system", "containers_reachable", "local_files")
        return {**about, "engine": {name: getattr(info, name) for name in fields}}

    def _log_limit(self, containers: int) -> int:
        share = max(_LEAST_LOG_BYTES, MOST_BYTES // max(1, containers))
        asked = self.log_bytes if self.log_bytes > 0 else MOST_LOG_BYTES
        return min(asked, MOST_LOG_BYTES, share)

    def _miss(self, what: str, why: object) -> None:
        self._missing.append(f"  {what}: {str(why) or 'no answer in time'}")

    def _secrets(self, inspected: Iterable[Mapping[str, Any]]) -> set[str]:
        """Of manifests and their sources, and what the images themselves have."""
        found = self.access.veil.secrets(self.environment)
        return found.union(*(secrets_of(variables_of(document)) for document in inspected))

    def _index(self) -> str:
        moment = self.now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        title = f"Evidence of environment {self.environment}, gathered at {moment}."
        missing = ["", "Not to be had:", *self._missing] if self._missing else []
        return "\n".join([title, "", _LAYOUT, "Files:", *self._listed, *missing, ""])


class _Tail:
    """The end of what is added, of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self.seen = 0

    @property
    def is_cut(self) -> bool:
        """Whether there was more."""
        return self.seen > self._limit

    def add(self, piece: bytes) -> None:
        """Adds a piece."""
        self._pieces.append(piece)
        self._size += len(piece)
        self.seen += len(piece)
        while self._size - len(self._pieces[0]) >= self._limit:
            self._size -= len(self._pieces.popleft())

    def data(self) -> bytes:
        """The end, from the beginning of a line where it was cut."""
        data = b"".join(self._pieces)
        if not self.is_cut:
            return data
        data = data[-self._limit :]
        return data[data.find(b"\n") + 1 :]


def _short(key: Key) -> str:
    """A workload by its name, anything else by its kind too."""
    return key.name if key.kind == WORKLOAD else f"{key.kind}.{key.name}"


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str).encode() + b"\n"


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
