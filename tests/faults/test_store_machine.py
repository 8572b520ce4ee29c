"""The store against a model: files come, change, break, fight for keys and go; holds come and go."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from e2e_api.conditions import Reason
from e2e_api.manifests import Workload
from e2e_controller.drivers.base import Key
from e2e_controller.events import EventLog
from e2e_controller.objects import FILE, ObjectStatus, Rejection, Source, environment_key
from e2e_controller.store import Store
from tests.unit.core.builders import NOW, claim, file_key, key, rejected, workload

from .engine import soak

PATHS = st.sampled_from(["a.yaml", "b.yaml", "c.yaml"])
NAMES = ("one", "two", "three")
IMAGES = st.sampled_from(["busybox:1", "busybox:2"])
TEST = environment_key("test")


class Files(RuleBasedStateMachine):
    """The model: for each path its claims (last good manifest, whether rejected), in order of claiming."""

    def __init__(self) -> None:
        super().__init__()
        self.queued: set[Key] = set()
        self.store = Store(self.queued.add, EventLog(lambda: NOW))
        self.files: dict[str, dict[str, tuple[Workload | None, bool]]] = {}
        self.order: dict[str, list[str]] = {name: [] for name in NAMES}
        self.broken: set[str] = set()
        self.pins = 0
        self.versions: dict[Key, int] = {}
        self.generations: dict[Key, int] = {}

    @rule(path=PATHS, says=st.dictionaries(st.sampled_from(NAMES), st.none() | IMAGES, max_size=3))
    def write(self, path: str, says: dict[str, str | None]) -> None:
        """None as an image: the document is rejected, but names its key."""
        claims = [
            claim(path, workload(name, image=image)) if image else rejected(path, key(name))
            for name, image in says.items()
        ]
        before = self.files.get(path, {})
        now = {
            name: (workload(name, image=image), False) if image else (before.get(name, (None,))[0], True)
            for name, image in says.items()
        }
        self.store.set_file(path, file_key(path), claims)
        self.model(path, now)
        self.broken.discard(path)

    @rule(path=PATHS)
    def remove(self, path: str) -> None:
        self.store.remove_file(path)
        self.model(path, {})
        self.broken.discard(path)

    @rule(path=PATHS)
    def make_unreadable(self, path: str) -> None:
        rejection = Rejection(Reason.PARSE_ERROR, "not YAML", Source(path, 1))
        self.store.reject_file(path, file_key(path), rejection)
        self.model(path, {name: (good, True) for name, (good, _) in self.files.get(path, {}).items()})
        self.broken.add(path)

    def model(self, path: str, now: dict[str, tuple[Workload | None, bool]]) -> None:
        for name in NAMES:
            if name in now and path not in self.order[name]:
                self.order[name].append(path)
            elif name not in now and path in self.order[name]:
                self.order[name].remove(path)
        self.files[path] = now

    @rule()
    def hold(self) -> None:
        self.store.pin("test")
        self.pins += 1

    @rule()
    def let_go(self) -> None:
        if self.pins:
            self.store.unpin("test")
            self.pins -= 1

    @rule(name=st.sampled_from(NAMES))
    def tell(self, name: str) -> None:
        stored = self.store.get(key(name))
        if stored is not None:
            self.store.set_status(key(name), ObjectStatus(observed_generation=stored.generation))

    @rule(late=st.booleans())
    def reconcile(self, late: bool) -> None:
        """What is deleting goes; what came back meanwhile does not."""
        for object_ in self.store.select("test"):
            if object_.deleting:
                self.store.forget(object_.key, object_.generation - late)

    @invariant()
    def each_key_is_what_its_first_file_says(self) -> None:
        for name in NAMES:
            stored = self.store.get(key(name))
            if not self.order[name]:
                assert stored is None or stored.deleting
                continue
            path = self.order[name][0]
            good, is_rejected = self.files[path][name]
            assert stored is not None
            assert not stored.deleting
            assert stored.manifest == good
            assert (stored.rejection is not None) == is_rejected
            assert self.store.owner(key(name)).path == path  # type: ignore[union-attr]

    @invariant()
    def files_tell_of_what_they_lost(self) -> None:
        for path, says in self.files.items():
            lost = any(self.order[name][0] != path for name in says)
            told = self.store.get(file_key(path))
            assert (told is not None) == (lost or path in self.broken)

    @invariant()
    def the_environment_is_there_while_somebody_needs_it(self) -> None:
        stored = self.store.get(TEST)
        objects = [o for o in self.store.select("test", "Workload") if o.manifest is not None]
        if self.pins or objects:
            assert stored is not None
            assert not stored.deleting
        else:
            assert stored is None or stored.deleting

    @invariant()
    def versions_grow_and_changes_are_queued(self) -> None:
        for object_ in self.store.select():
            assert object_.version >= self.versions.get(object_.key, 0)
            self.versions[object_.key] = object_.version
            if object_.key.kind != FILE and object_.generation != self.generations.get(object_.key):
                assert object_.key in self.queued
                self.generations[object_.key] = object_.generation
        self.queued.clear()


TestFiles: Any = Files.TestCase
TestFiles.settings = settings(max_examples=soak("EXAMPLES", 60), stateful_step_count=25, deadline=None)
