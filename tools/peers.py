"""Install the benchmark's peers, and write down what there is: `.cache/peers/installed.json`.

A peer that cannot be had is no failure: the file says why, and the benchmark's table does.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from setup.locks import LockTimeoutError, exclusive
from setup.peers import TIMEOUT, Peer, install_all

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "benchmarks" / "peers"
FOLDER = ROOT / ".cache" / "peers"


def main() -> int:
    """Exit code 1 where another process was at the same for too long."""
    found = {}
    try:
        with exclusive(FOLDER / "install.lock", TIMEOUT):
            for name, peer in install_all(SOURCES, FOLDER):
                found[name] = asdict(peer) if isinstance(peer, Peer) else {"missing": str(peer)}
                print(f"{name}: {found[name].get('version') or found[name]['missing']}", flush=True)
            (FOLDER / "installed.json").write_text(json.dumps(found, indent=1) + "\n")
    except LockTimeoutError as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
