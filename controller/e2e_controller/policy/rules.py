"""The judge: from a policy and what is wanted to what is denied. Pure, but for looks at paths of the host."""

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from e2e_api.manifests.texts import is_below
from e2e_api.quantities import format_quantity
from e2e_controller.policy.model import ANY, HostPath, Policy
from e2e_controller.policy.paths import Found, HostPaths, SameMachine
from e2e_controller.policy.presets import PRESETS
from e2e_controller.policy.references import Reference
from e2e_controller.policy.wanted import Wanted, WantedMount, WantedPort

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Denial:
    """One thing that the policy denies."""

    rule: str
    """Its place in a policy file, such as `hostPaths` or `images.tags`."""
    field: str
    """Of the manifest."""
    message: str
    """What is wrong with it, and what helps."""
    may_pass: bool = False
    """It is because of others, and may be allowed once they are gone."""

    def __str__(self) -> str:
        return f"policy rule {self.rule} denies {self.field}: {self.message}"


class Judge:
    """Knows the policy, and where paths of the host lead."""

    def __init__(
        self, policy: Policy, paths: HostPaths, folders: Iterable[Path] = (), published_on: str = LOOPBACK
    ) -> None:
        """`folders` are those that are watched; ports are `published_on` that address of the host."""
        self.paths = paths
        self._local = paths.local()
        self._folders = [self._local.listed(str(folder)) for folder in folders]
        self._published_on = ipaddress.ip_address(published_on)
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Judges by another policy from now on."""
        self.policy = policy
        self._listed = [(item, _listed(item, self.paths)) for item in policy.host_paths]
        self._contexts = [self._local.listed(self.paths.context(folder)) for folder in policy.build.contexts]
        self._may_publish = self._allows(self._published_on)
        self.allows_all = policy == PRESETS["permissive"]
        """Whether nothing has to be judged."""

    @classmethod
    def permissive(cls) -> Self:
        """One that denies nothing."""
        return cls(PRESETS["permissive"], HostPaths(SameMachine(), (), Path("/")))

    @property
    def any_host_path(self) -> bool:
        """Whether no path of the host has to be looked at."""
        return any(item.path == ANY and not item.read_only for item in self.policy.host_paths)

    @property
    def lists_writable(self) -> bool:
        """Whether there are listed paths that containers may write to."""
        return not self.any_host_path and any(not item.read_only for item in self.policy.host_paths)

    def judge(self, wanted: Wanted) -> tuple[Denial, ...]:
        """All that the policy denies of it, but for what is counted over several objects."""
        return tuple(self._denials(wanted))

    def _denials(self, wanted: Wanted) -> Iterator[Denial]:
        yield from self._power(wanted)
        yield from self._image(wanted)
        yield from self._build(wanted)
        for mount in wanted.mounts:
            yield from self.mount(mount, wanted.environment)
        for port in wanted.ports:
            yield from self._port(port)
        yield from self._resources(wanted)

    def _power(self, wanted: Wanted) -> Iterator[Denial]:
        policy = self.policy
        if wanted.privileged and not policy.privileged:
            message = "no container may be privileged; leave it out, and ask for the capabilities it needs"
            yield Denial("privileged", "spec.security.privileged", message)
        allowed = {_bare(name) for name in policy.capabilities}
        for number, name in enumerate(wanted.capabilities):
            if not {ANY, "ALL", _bare(name)} & allowed:
                message = f"{name} may not be added; leave it out, or list it in the policy"
                yield Denial("capabilities", f"spec.security.capabilities.{number}", message)
        for name in wanted.namespaces:
            if name not in policy.host_namespaces:
                message = (
                    f"the host's {name} namespace may not be used; leave it out, or list it in the policy"
                )
                yield Denial("hostNamespaces", f"spec.security.{name}", message)
        for path in wanted.devices:
            if ANY not in policy.devices and path not in policy.devices:
                yield Denial("devices", "devices", f"{path} may not be used; list it in the policy")

    def _image(self, wanted: Wanted) -> Iterator[Denial]:
        rules = self.policy.images
        if not wanted.image or not rules.limited:
            return
        reference = Reference.of(wanted.image)
        if reference.may_be_id:
            message = f"{wanted.image} may be the id of an image, which does not tell where it is from; "
            yield Denial("images.registries", "spec.image", f"{message}give its name and tag, or its digest")
            return
        if not any(item == ANY or reference.is_in(item) for item in rules.registries):
            message = f"{reference.repository} is from none of {', '.join(rules.registries) or 'no registry'}"
            yield Denial("images.registries", "spec.image", f"{message}; take an image that is")
        if reference.digest is None and rules.require_digest:
            message = f"{wanted.image} has no digest; give one, as in {wanted.image}@sha256:..."
            yield Denial("images.requireDigest", "spec.image", message)
        tag = reference.tag
        if tag is not None and not any(fnmatchcase(tag, pattern) for pattern in rules.tags):
            message = f"the tag {tag} is none of {', '.join(rules.tags) or 'no tag'}; take one that is"
            yield Denial("images.tags", "spec.image", message)
        if tag is not None and any(fnmatchcase(tag, pattern) for pattern in rules.denied_tags):
            message = f"the tag {tag} is one of {', '.join(rules.denied_tags)}; take another one, or a digest"
            yield Denial("images.deniedTags", "spec.image", message)

    def _build(self, wanted: Wanted) -> Iterator[Denial]:
        rules, build = self.policy.build, wanted.build
        if build is None:
            return
        if not rules.allowed:
            yield Denial("build.allowed", "spec.build", "nothing is built here; give `image` instead")
            return
        if self.policy.images.limited and not rules.any_base_image:
            message = (
                "a build pulls whatever its Dockerfile names, and images are limited; give `image` instead"
            )
            yield Denial("build.anyBaseImage", "spec.build", f"{message}, or set anyBaseImage in the policy")
        if "/" in self._contexts:
            return
        allowed = [*self._contexts, *(self._folders if build.watched else ())]
        context = self._local.look(self.paths.context(build.context))
        yield from self._context(context, allowed, "spec.build.context")
        dockerfile = os.path.normpath(Path(context.path) / build.dockerfile)
        if not is_below(dockerfile, context.path):  # else it is packed as it is, a link as a link
            yield from self._context(self._local.look(dockerfile), allowed, "spec.build.dockerfile")

    def _context(self, found: Found, allowed: Iterable[str], field: str) -> Iterator[Denial]:
        remedy = "list its folder under build.contexts in the policy, or give `image` instead"
        if found.problem:
            yield Denial("build.contexts", field, f"{found.path}: {found.problem}; {remedy}")
        elif not any(is_below(found.path, folder) for folder in allowed):
            yield Denial("build.contexts", field, f"nothing is built of {found.path}; {remedy}")
        elif hidden := [t for t in (*found.holds, *found.inside) if self._local.is_unlisted(t, allowed)]:
            message = f"{found.path} has {hidden[0].what}, or is in it; take another folder"
            yield Denial("build.contexts", field, message)

    def mount(self, mount: WantedMount, environment: str) -> Iterator[Denial]:
        """What is denied of one path of the host."""
        if any(item.path == ANY and (mount.read_only or not item.read_only) for item, _ in self._listed):
            return
        found = self.paths.look(mount.path, own=mount.own)
        if not found.problem and found.path == self.paths.shared(environment):
            return
        leads = f"{mount.path} leads to {found.path}: " if found.path != mount.path else f"{mount.path}: "
        for message in self._mount(mount, found):
            yield Denial("hostPaths", mount.field, leads + message)

    def _mount(self, mount: WantedMount, found: Found) -> Iterator[str]:
        covering = [(item, path) for item, path in self._listed if is_below(found.path, path)]
        if found.problem:
            yield found.problem
            return
        if not covering:
            yield "it may not be mounted; take a named volume or `files`, or list it in the policy"
            return
        places = [path for _, path in covering]
        for thing in found.holds:
            if self.paths.place(thing) not in [path for _, path in self._listed]:
                yield f"it is or holds {thing.what}; list {self.paths.place(thing)} itself to allow that"
        for thing in found.inside:
            if self.paths.is_unlisted(thing, places):
                yield f"it is in {thing.what}; list it itself to allow that"
        if found.special and found.path not in places:
            yield f"it is {found.special}; list it itself to allow that"
        nearest = max(covering, key=lambda pair: len(pair[1]))[0]
        if nearest.read_only and not mount.read_only:
            yield "it may only be mounted with readOnly: true"

    def _port(self, port: WantedPort) -> Iterator[Denial]:
        policy = self.policy
        address = ipaddress.ip_address(port.address) if port.address else self._published_on
        if not (self._allows(address) if port.address else self._may_publish):
            message = f"no port may be published on {address}; leave the port out"
            yield Denial("publishedAddresses", port.field, message)
        if port.number is not None and not any(_is_in(port.number, item) for item in policy.host_ports):
            message = f"port {port.number} of the host is none of {', '.join(policy.host_ports) or 'no port'}"
            yield Denial("hostPorts", port.field, f"{message}; leave hostPort out, and a free one is chosen")

    def _allows(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(address in ipaddress.ip_network(given) for given in self.policy.published_addresses)

    def _resources(self, wanted: Wanted) -> Iterator[Denial]:
        """Of one object; the sums are judged where the others are known."""
        limits, sums = self.policy.resources.per_workload, self.policy.resources.per_environment
        for name, given, most, total in (
            ("memory", wanted.memory, limits.memory, sums.memory),
            ("cpus", wanted.cpus, limits.cpus, sums.cpus),
        ):
            field = f"spec.resources.{name}"
            if given is None and wanted.is_container:
                for rule, cap in (("perWorkload", most), ("perEnvironment", total)):
                    if cap is not None:
                        message = f"is missing, and there is a limit of {format_quantity(cap)}"
                        remedy = "give it, or a default in the Environment"
                        yield Denial(f"resources.{rule}", field, f"{message}; {remedy}")
                        break
            if given is not None and most is not None and given > most:
                message = f"{format_quantity(given)} is more than {format_quantity(most)}; ask for less"
                yield Denial("resources.perWorkload", field, message)


def _listed(item: HostPath, paths: HostPaths) -> str:
    return ANY if item.path == ANY else paths.listed(item.path)


def _bare(capability: str) -> str:
    return re.sub("^CAP_", "", capability)


def _is_in(port: int, ports: str) -> bool:
    first, _, last = ports.partition("-")
    return int(first) <= port <= int(last or first)
