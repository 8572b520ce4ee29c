"""What an image is made of, as a CycloneDX document: Debian's packages, Python's, and Python itself."""

import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.parser import HeaderParser

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

WANTED = re.compile(r"var/lib/dpkg/(status|status\.d/[^/]+)|.*/site-packages/[^/]+\.dist-info/METADATA")
"""The files of an image that say what is in it."""
_VERSION = SchemaVersion.V1_6


def document(
    files: Mapping[str, str], *, name: str, identity: str, created: datetime, config: Mapping[str, str]
) -> str:
    """The document, valid and the same for the same image.

    Args:
        files: the text of each file of the image that `WANTED` matches, by its path.
        name: the image's tag.
        identity: the image's digest.
        created: when the image was made.
        config: the variables that it sets; `PYTHON_VERSION` is upstream's way to say which Python it has.
    """
    root = Component(name=name, type=ComponentType.CONTAINER, version=identity, bom_ref=identity)
    bom = Bom(
        components=[*_debian(files), *_python(files), *_interpreter(config)],
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, identity),
    )
    bom.metadata.component = root
    bom.metadata.timestamp = created
    bom.register_dependency(root, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, _VERSION).output_as_string(indent=1)
    if problem := JsonStrictValidator(_VERSION).validate_str(text):
        raise ValueError(f"the document is not valid: {problem}")
    return f"{text}\n"


def _debian(files: Mapping[str, str]) -> Iterator[Component]:
    for path, text in sorted(files.items()):
        if not path.startswith("var/lib/dpkg/"):
            continue
        for fields in map(HeaderParser().parsestr, re.split(r"\n\n+", text.strip())):
            name, version = fields["Package"], fields["Version"]
            if not name or "not-installed" in fields.get("Status", ""):
                continue
            qualifiers = {"arch": fields["Architecture"], "distro": "debian"}
            url = PackageURL("deb", "debian", name, version, qualifiers)
            source = [Property(name="debian:source", value=fields["Source"])] if fields["Source"] else []
            yield Component(name=name, version=version, purl=url, bom_ref=str(url), properties=source)


def _python(files: Mapping[str, str]) -> Iterator[Component]:
    for path, text in sorted(files.items()):
        if not path.endswith(".dist-info/METADATA"):
            continue
        fields = HeaderParser().parsestr(text)
        url = PackageURL("pypi", None, fields["Name"].lower().replace("_", "-"), fields["Version"])
        license_ = fields["License-Expression"] or ""
        yield Component(
            name=fields["Name"],
            version=fields["Version"],
            description=fields["Summary"],
            licenses=[LicenseFactory().make_from_string(license_)] if license_ else [],
            purl=url,
            bom_ref=str(url),
        )


def _interpreter(config: Mapping[str, str]) -> Iterator[Component]:
    if version := config.get("PYTHON_VERSION"):
        url = PackageURL("generic", None, "python", version)
        yield Component(name="python", version=version, purl=url, bom_ref=str(url))
