"""Build the controller's image from this checkout, and print the tag that only this content has.

Exit codes: 0 it is present; 1 it is not, and the message says why.
"""

import argparse
import sys

from setup.controller_image import BASE, NAME, build
from setup.debian import PackageError
from setup.endpoint import EndpointError, find_endpoint, ping
from setup.images import Engine, ImageError
from setup.locks import LockTimeoutError
from setup.rootfs import RootfsError

PING_TIMEOUT = 30


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", default=BASE, help="the image to build upon")
    parser.add_argument("--tag", default=f"{NAME}:dev", help="a tag for it (%(default)s)")
    options = parser.parse_args()
    try:
        endpoint = find_endpoint()
        ping(endpoint, PING_TIMEOUT)
        print(build(Engine(endpoint), options.base, (options.tag,)))
    except (EndpointError, ImageError, LockTimeoutError, PackageError, RootfsError, OSError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
