"""Train the demonstration model: `python -m benchc_tasks.demonstration.training -o FOLDER --seed 0`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchc_tasks.demonstration.training.architecture import build_model
from benchc_tasks.demonstration.training.stages import train_jointly, train_language, train_vision
from benchc_tasks.demonstration.training.streams import Stream
from benchc_tasks.demonstration.training.vocabulary import build_processor

__all__ = ["Settings", "main", "train"]

LANGUAGE_STEPS, VISION_STEPS, JOINT_STEPS = 500, 1400, 500
LANGUAGE_BATCH, VISION_BATCH, JOINT_BATCH = 16, 64, 24


@dataclass(frozen=True)
class Settings:
    """The settings of a training run.

    Attributes
    ----------
    output
        Folder for the model.
    seed
        Seed of the weights and of the data.
    steps_scale
        Factor on the number of steps of every stage.
    noise_augmentation
        Largest standard deviation of Gaussian noise on half of the training pictures, on a scale from 0 to 1.
    checkpoints
        Folder for models from the middle of the last stage; by default none are kept.
    threads
        Number of processor threads.
    """

    output: Path
    seed: int = 0
    steps_scale: float = 1.0
    noise_augmentation: float = 0.0
    checkpoints: Path | None = None
    threads: int = 1


def _say(line: str) -> None:
    print(line, flush=True)


def train(settings: Settings) -> None:
    """Train the model in three stages, and write it with its processor in Hugging Face format.

    The same seed gives the same data; the bits of the weights also depend on torch's version and on the processor.

    Parameters
    ----------
    settings
        The output folder, the seed and the length of the run.
    """
    torch.set_num_threads(settings.threads)
    start = time.monotonic()
    processor = build_processor()
    model = build_model(processor.tokenizer, settings.seed)

    def save(folder: Path) -> None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)

    def checkpoint(name: str) -> None:
        if settings.checkpoints is not None:
            save(settings.checkpoints / name)

    def steps(number: int) -> int:
        return max(1, round(number * settings.steps_scale))

    def stream(stage: int) -> Stream:
        torch.manual_seed(settings.seed + stage)
        return Stream(processor.tokenizer, settings.seed, stage, noise=settings.noise_augmentation)

    model.train()
    train_language(model, stream(1), steps(LANGUAGE_STEPS), LANGUAGE_BATCH, _say)
    train_vision(model, stream(2), steps(VISION_STEPS), VISION_BATCH, _say)
    train_jointly(model, stream(3), steps(JOINT_STEPS), JOINT_BATCH, _say, checkpoint=checkpoint)
    save(settings.output)
    _say(f"trained in {time.monotonic() - start:.0f} s, written to {settings.output}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m benchc_tasks.demonstration.training", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder that the model is written to")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the data")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="factor on the number of steps")
    parser.add_argument(
        "--noise-augmentation",
        type=float,
        default=0.0,
        help="largest standard deviation of Gaussian noise on half of the training pictures (0 to 1)",
    )
    parser.add_argument("--checkpoints", type=Path, help="folder for models from the middle of the run")
    parser.add_argument("--threads", type=int, default=1, help="number of processor threads")
    train(Settings(**vars(parser.parse_args(arguments))))


if __name__ == "__main__":
    main()
