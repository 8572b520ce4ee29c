"""What only the controller's side can tell, which alone talks to an engine: asked in a process of its own."""

import json
import subprocess  # nosec B404
import sys
from collections.abc import Mapping
from typing import Any


def ask(module: str, *arguments: str, seconds: float) -> Mapping[str, Any]:
    """The document that a module of the controller's writes; `error` in it says what is wrong."""
    # -P: what lies in the working directory must not stand in for a module of the controller's.
    command = [sys.executable, "-P", "-m", f"e2e_controller.{module}", "--json", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)  # noqa: S603  # nosec B603
        answer: Mapping[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"error": f"the engine did not answer within {seconds:g} s"}
    except ValueError:
        said = done.stderr.strip().splitlines()
        return {"error": said[-1] if said else f"the look at it ended with {done.returncode}"}
    return answer
