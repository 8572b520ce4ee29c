"""Write what the controller's image is made of to a file, as CycloneDX JSON.

Exit codes: 0 it is written; 1 it is not, and the message says why.
"""

import argparse
import sys
import tarfile
import tempfile
from datetime import datetime
from pathlib import Path

from docker.errors import DockerException
from docker.models.images import Image
from setup.endpoint import EndpointError, find_endpoint
from setup.images import Engine
from setup.sbom import WANTED, document


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("image", nargs="?", default="e2e-controller:dev", help="(default %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("build/e2e-controller.cdx.json"))
    options = parser.parse_args()
    try:
        engine = Engine(find_endpoint())
        image = engine.client.images.get(options.image)
        text = _document(engine, image, options.image)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text)
    except (DockerException, EndpointError, OSError, ValueError) as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    print(options.output)
    return 0


def _document(engine: Engine, image: Image, name: str) -> str:
    variables = (entry.partition("=") for entry in image.attrs["Config"]["Env"] or ())
    return document(
        _files(engine, image),
        name=name,
        identity=str(image.id),
        created=datetime.fromisoformat(image.attrs["Created"]),
        config={key: value for key, _, value in variables},
    )


def _files(engine: Engine, image: Image) -> dict[str, str]:
    container = engine.client.containers.create(image)
    try:
        with tempfile.TemporaryFile() as packed:
            packed.writelines(container.export())
            packed.seek(0)
            with tarfile.open(fileobj=packed) as archive:
                wanted = [member for member in archive if member.isfile() and WANTED.fullmatch(member.name)]
                opened = {member.name: archive.extractfile(member) for member in wanted}
                return {name: file.read().decode(errors="replace") for name, file in opened.items() if file}
    finally:
        container.remove(v=True)


if __name__ == "__main__":
    sys.exit(main())
