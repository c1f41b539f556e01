"""Build a leaderboard of the trial runs, for people to look at.

    python tests/trial_site.py FOLDER

FOLDER gets `submissions/`, `leaderboard.yaml` and `site/`; open `site/index.html`. It is built as a real site is:
`write_submission` writes the submissions, and `benchc leaderboard --config` verifies them.

The trial runs are of 48 samples of the bundled set, which stand for a whole dataset here. Made from them are the
control of two, a lite run, votes, written letters, and a model that ignores the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np
from run_folders import lite, with_control, without_distributions
from vote_runs import vote

from benchc_metrics.leaderboard.submission import SubmissionDetails, write_submission
from benchc_metrics.runs import Run, read_run
from benchc_tasks.commands.cli import main as benchc

TRIAL_RUNS = Path(__file__).parent / "fixtures" / "trial_runs"
CREATED = datetime(2026, 3, 2, 8, 30, tzinfo=timezone.utc)
PARAMETERS = 1_800_000
"""Of the trial runs' models, about."""

CONFIGURATION = """\
schema: benchc.leaderboard/1
title: Trial leaderboard
dataset:
  id: benchc/trial
  revision: 0123abc
  fingerprint: {fingerprint}
engine: "{engine}"
address: https://huggingface.co/datasets/benchc/trial-submissions
"""


class Trial(NamedTuple):
    """A submission of the site: its model, the trial run that it is made of, and how."""

    model: str
    folder: str
    change: Callable[[Run], Run] = lambda run: run
    licence: str | None = "apache-2.0"
    link: str | None = "https://arxiv.org/abs/2511.19032"


def ignoring(run: Run) -> Run:
    """The same run, as if corruption had moved nothing."""
    same = np.broadcast_to(run.clean[:, np.newaxis, np.newaxis], run.corrupted.shape)
    return replace(run, corrupted=same.copy())


TRIALS = (
    Trial("trial/start", "start"),
    Trial("trial/plain", "plain", with_control),
    Trial("trial/plain-half-of-the-training", "plain-half", licence="mit"),
    Trial("trial/noise-augmented", "noise-augmented", with_control, licence="mit"),
    Trial("trial/noise-augmented-half-of-the-training", "noise-augmented-half", link=None),
    Trial("trial/ignores-the-picture", "start", ignoring, licence=None, link=None),
    Trial("trial/plain", "plain", lite),
    Trial("trial/plain-voting", "plain", lambda run: vote(run, 16, unparsed=0.05)),
    Trial("trial/noise-augmented-voting", "noise-augmented", lambda run: vote(run, 32)),
    Trial("trial/plain-writing", "plain", without_distributions, licence=None),
)


def submissions(trials: tuple[Trial, ...] = TRIALS) -> Iterator[tuple[str, Run, SubmissionDetails]]:
    """Yield the name of the folder, the run and the details of each submission."""
    for number, trial in enumerate(trials):
        run = read_run(TRIAL_RUNS / trial.folder)
        whole = replace(run, metadata=replace(run.metadata, dataset_size=len(run.sample_ids)))
        details = SubmissionDetails(
            dataset_id="benchc/trial",
            dataset_revision="0123abc",
            model_id=trial.model,
            organisation="Trial",
            parameters=PARAMETERS,
            licence=trial.licence,
            link=trial.link,
        )
        yield f"{number:02}", trial.change(whole), details


def build(folder: Path, trials: tuple[Trial, ...] = TRIALS) -> Path:
    """Write submissions, configuration and site into a folder that is empty or not there; return the site's folder."""
    configuration = folder / "leaderboard.yaml"
    for name, run, details in submissions(trials):
        write_submission(run, folder / "submissions" / name, details, created=CREATED)
        facts = {"fingerprint": run.metadata.dataset, "engine": run.metadata.engine}
        configuration.write_text(CONFIGURATION.format(**facts), encoding="utf-8")
    site = folder / "site"
    if benchc(["leaderboard", str(folder / "submissions"), "-o", str(site), "--config", str(configuration)]) != 0:
        raise SystemExit("a submission was left out: its line above says why")
    return site


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="empty, or not there yet")
    print(build(parser.parse_args().folder) / "index.html")
