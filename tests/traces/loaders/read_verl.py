"""verl's own loaders: `python -m tests.traces.loaders.read_verl FOLDER`."""

import json
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.utils.config import validate_config
from verl.utils.dataset.rl_dataset import RLHFDataset

from tests.traces.loaders import tiny

folder = Path(sys.argv[1])
rows = []
for line in (folder / "verl.jsonl").read_text("utf-8").splitlines():
    output = AgentLoopOutput.model_validate_json(line)
    tensors = output.as_dict()
    rows.append(
        {
            "prompt": tensors["prompts"].tolist(),
            "response": tensors["responses"].tolist(),
            "mask": tensors["response_mask"].tolist(),
            "logprobs": tensors["rollout_log_probs"].tolist(),
            "reward": tensors["rm_scores"].tolist(),
            "extra": output.extra_fields,
            "turns": output.num_turns,
        }
    )

config = OmegaConf.create({"max_prompt_length": 4096, "filter_overlong_prompts_workers": 1})
tasks = []
for name in ("prompts.parquet", "prompts-verl.jsonl"):
    dataset = RLHFDataset(str(folder / name), tiny.tokenizer(), config)
    tasks.append([dataset.dataframe[at] | {"seen": dataset[at]["raw_prompt"]} for at in range(len(dataset))])

with initialize_config_dir(str(Path("examples").absolute()), version_base=None):
    node = compose("verl_8gpu", overrides=["data.train_files=p", "data.val_files=p", "actor_rollout_ref.model.path=m"])

validate_config(node, use_reference_policy=False, use_critic=False)  # raises
settings = [
    node.trainer.n_gpus_per_node,
    node.algorithm.rollout_correction.rollout_is,
    node.actor_rollout_ref.rollout.n,
]
(folder / "found.json").write_text(json.dumps({"rollouts": rows, "tasks": tasks, "node": settings}))
