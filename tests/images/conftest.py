import sys
from pathlib import Path

# The set-up tools run before anything of ours is installed, so they are no package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
