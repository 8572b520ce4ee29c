"""The Thanos story with the synchronous SDK: the example, as its reader runs it."""

import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "thanos" / "test_thanos.py"
_spec = importlib.util.spec_from_file_location("examples_thanos", EXAMPLE)
assert _spec is not None
assert _spec.loader is not None
_example = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_example)

test_querier_sees_both_sidecars = _example.test_querier_sees_both_sidecars
