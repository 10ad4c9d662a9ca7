"""OpenEnv's own loader: `python -m tests.traces.loaders.read_openenv FOLDER`."""

import json
import sys
from pathlib import Path

from openenv.core.harness.training import TrainingTrace

folder = Path(sys.argv[1])
lines = (folder / "openenv.jsonl").read_text("utf-8").splitlines()
(folder / "found.json").write_text(
    json.dumps([[turn.model_dump() for turn in TrainingTrace.model_validate_json(line).turns] for line in lines])
)
