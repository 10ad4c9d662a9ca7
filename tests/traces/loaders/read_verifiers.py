"""verifiers' own loader: `python -m tests.traces.loaders.read_verifiers FOLDER`."""

import json
import sys
from pathlib import Path

from verifiers.v1.episode import WireEpisode

folder = Path(sys.argv[1])
found = []
for line in (folder / "verifiers.jsonl").read_text("utf-8").splitlines():
    episode = WireEpisode.model_validate_json(line)
    [trace] = episode.traces
    branches = [
        {
            "ids": branch.token_ids,
            "mask": [int(drawn) for drawn in branch.sampled_mask],
            "logprobs": branch.logprobs,
            "messages": [message.model_dump(exclude_none=True) for message in branch.messages],
            "finish": [call.finish_reason for call in branch.calls],
            "trainable": branch.trainable,
        }
        for branch in trace.branches
    ]
    found.append(
        {
            "group": episode.group and episode.group.id,
            "reward": trace.reward,
            "metrics": trace.metrics,
            "tools": [tool.model_dump() for tool in trace.branches[0].tools],
            "turns": episode.num_turns,
            "branches": branches,
        }
    )

(folder / "found.json").write_text(json.dumps(found))
