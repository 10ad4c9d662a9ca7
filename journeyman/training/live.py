"""What a training says while it runs: a line on the terminal, `metrics.jsonl`, and TensorBoard's files if it is here.

Ctrl-C lets the step finish and writes a checkpoint, from which the same command goes on.
"""

import json
import math
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "rewards/accuracies": "preferred",
    "mean_token_accuracy": "right tokens",
    "kl": "kl",
    "entropy": "entropy",
    "sampling/sampling_logp_difference/mean": "mismatch",
    "grad_norm": "gradient",
}
"""What of a trainer's metrics is shown, and as what."""


def reports() -> list[str]:
    """Where else metrics go by the trainer's own doing: MLflow, if it is installed and was told where to."""
    return ["mlflow"] if find_spec("mlflow") and "MLFLOW_TRACKING_URI" in os.environ else []


def boards(folder: Path) -> list[Any]:
    """A callback that writes TensorBoard's files there, where that is installed."""
    if find_spec("tensorboard") is None:
        return []

    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(folder / "tensorboard")))]


def live(folder: Path, stream: TextIO | None = None) -> Any:
    """A callback for a trainer. `interrupted` tells whether Ctrl-C ended it."""
    from transformers import TrainerCallback

    class Live(TrainerCallback):
        interrupted = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._before = signal.signal(signal.SIGINT, self._interrupt)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            signal.signal(signal.SIGINT, self._before)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            if self.interrupted:
                control.should_save = control.should_training_stop = True

            return control

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            numbers = {name: value for name, value in (logs or {}).items() if isinstance(value, int | float)}
            with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **_finite(numbers)}) + "\n")

            if "train_runtime" not in numbers:
                say(_line(state.global_step, state.max_steps, numbers), stream or sys.stderr)

        def _interrupt(self, number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                raise KeyboardInterrupt  # asked twice

            self.interrupted = True

    return Live()


def say(text: str, stream: TextIO) -> None:
    """On a terminal one line that the next replaces."""
    stream.write(f"\r\33[2K{text}" if stream.isatty() else f"{text}\n")
    stream.flush()


def _line(step: int, steps: int, numbers: dict[str, float]) -> str:
    told = [f"{name} {numbers[key]:.3g}" for key, name in SHOWN.items() if key in numbers]
    return f"step {step}/{steps}  {'  '.join(told)}"


def _finite(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
