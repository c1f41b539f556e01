"""Start VLMEvalKit with benchc's datasets and model; VLMEvalKit loads no plugins itself."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loguru import logger

from benchc_metrics.messages import close_to_it, quoted
from benchc_metrics.records import Sampling
from benchc_metrics.runs.cautions import Caution
from benchc_tasks.models.processes import processes
from benchc_tasks.stacks.common import AnsweringModel, load_samples
from benchc_tasks.stacks.ending import cautions_of_records
from benchc_tasks.stacks.model_identity import model_identity
from benchc_tasks.stacks.prompting import task_prompt
from benchc_tasks.stacks.vlmevalkit.names import NamedData, datasets_of
from benchc_tasks.stacks.vlmevalkit.results import Results, records_of
from benchc_tasks.stacks.vlmevalkit.rows import Row, picture_bytes, rows_of

__all__ = ["OWN_MODEL", "Order", "arguments_of", "run_vlmevalkit"]

OWN_MODEL = "benchc"
"""The model that scores options; any other name is one of VLMEvalKit's."""

_PICTURES = "benchc_pictures"
_NOT_INSTALLED = (
    "VLMEvalKit is not installed: docs/vlmevalkit.md has the command for an environment of its own, or give a checkout "
    "with --repo PATH"
)


@dataclass(frozen=True)
class Order:
    """The options of `benchc vlmevalkit`.

    Attributes
    ----------
    data : sequence of str
        Names of datasets, see `benchc_tasks.stacks.vlmevalkit.names`.
    model : str
        `OWN_MODEL`, or a name in VLMEvalKit's list.
    arguments : mapping
        Of the model `OWN_MODEL`.
    dataset : str or None
        The samples; as in `load_dataset`.
    work_dir : Path
    limit : int or None
        Only so many samples.
    votes : int
        How many answers a model of VLMEvalKit is asked for under each condition.
    temperature : float or None
        Handed to a model of VLMEvalKit; needed for votes.
    reuse : bool
        Whether answers of an earlier run in `work_dir` are used.
    judge : str
        VLMEvalKit's `--judge`.
    repo : Path or None
        A checkout of VLMEvalKit, in place of the installed package.
    clean_up : bool
        Whether picture files are removed afterwards.
    """

    data: Sequence[str]
    model: str = OWN_MODEL
    arguments: Mapping[str, object] = field(default_factory=dict)
    dataset: str | None = None
    work_dir: Path = Path("outputs")
    limit: int | None = None
    votes: int = 1
    temperature: float | None = None
    reuse: bool = False
    judge: str = "exact_matching"
    repo: Path | None = None
    clean_up: bool = False

    @property
    def scores_options(self) -> bool:
        """Whether the model gives log-likelihoods."""
        return self.model == OWN_MODEL


def arguments_of(text: str) -> dict[str, object]:
    """Read `KEY=VALUE,KEY=VALUE` as lmms-eval's `--model_args` is read."""
    from lmms_eval.utils import simple_parse_args_string

    return dict(simple_parse_args_string(text))


def run_vlmevalkit(order: Order) -> int:
    """Run VLMEvalKit.

    Returns
    -------
    int
        0 if every dataset was evaluated and no run is incomplete, else 1.

    Raises
    ------
    ValueError
        If something is asked for that cannot be had; nothing was started then.
    """
    data = datasets_of(list(order.data))
    _check(order)
    samples = load_samples(order.dataset, None)
    asked_with = {**order.arguments, "temperature": order.temperature}
    identity = model_identity(order.model, asked_with) or order.model
    rows = {
        named.name: rows_of(samples, named.asked, task_prompt(), identity, limit=order.limit, votes=order.votes)
        for named in data
    }
    _import_vlmeval(order.repo)
    pictures = None if order.scores_options else (order.work_dir / _PICTURES).resolve()
    if pictures is not None:
        _say_how_large(rows, pictures, order.clean_up)
    ended = _start(order, {named.name: named for named in data}, rows, pictures)
    if pictures is not None and order.clean_up:
        shutil.rmtree(pictures, ignore_errors=True)
    return ended


def _check(order: Order) -> None:
    if order.limit is not None and order.limit < 1:
        raise ValueError(f"--limit is {order.limit}: give a number of 1 or more")
    if order.votes < 1:
        raise ValueError(f"--votes is {order.votes}: give a number of 1 or more")
    if order.scores_options and order.votes > 1:
        raise ValueError("--votes is for models that write their answers, and the model benchc has log-likelihoods")
    if order.scores_options and order.temperature is not None:
        raise ValueError("--temperature is for models that write their answers: leave it out")
    if order.votes > 1 and not order.temperature:
        raise ValueError("--votes needs --temperature above 0, at which the answers are drawn: add it")
    if not order.scores_options and order.arguments:
        raise ValueError(f"model arguments are for --model {OWN_MODEL}: leave them out with {quoted(order.model)}")
    if processes() > 1:
        raise ValueError(f"this run has {processes()} processes, and benchc uses one under VLMEvalKit: start one")


def _import_vlmeval(repo: Path | None) -> None:
    if repo is not None:
        if not (repo / "run.py").is_file() or not (repo / "vlmeval").is_dir():
            raise ValueError(f"--repo {quoted(str(repo))} is not a checkout of VLMEvalKit: it has no run.py")
        sys.path.insert(0, str(repo.resolve()))
    try:
        import vlmeval.config
        import vlmeval.dataset  # noqa: F401
    except ModuleNotFoundError as fault:
        if fault.name == "vlmeval":
            raise ValueError(_NOT_INSTALLED) from None
        raise ValueError(
            f"VLMEvalKit needs {fault.name}, which is not installed: run `pip install {fault.name}`"
        ) from fault


def _say_how_large(rows: Mapping[str, Sequence[Row]], folder: Path, clean_up: bool) -> None:
    every = [row for of_data in rows.values() for row in of_data]
    number, size = len({row.picture for row in every}), picture_bytes(every)
    after = "they are removed afterwards" if clean_up else "give --clean-up to have them removed afterwards"
    logger.info(f"{number:,} pictures, about {size / 1e9:.2g} GB in all, are written to {folder}; {after}")


def _start(order: Order, data: dict[str, NamedData], rows: dict[str, list[Row]], pictures: Path | None) -> int:
    import vlmeval.dataset
    import vlmeval.vlm
    from vlmeval.config import supported_VLM

    from benchc_tasks.stacks.vlmevalkit.dataset import Launch, dataset_class
    from benchc_tasks.stacks.vlmevalkit.model import BenchCModel

    if not order.scores_options and order.model not in supported_VLM:
        raise ValueError(
            f"--model {quoted(order.model)} is neither {OWN_MODEL} nor one of VLMEvalKit's models"
            f"{close_to_it(order.model, supported_VLM)}"
        )
    now = datetime.now(timezone.utc)
    folder = order.work_dir / order.model
    results = Results(
        folder,
        now.strftime("%Y%m%d_%H%M%S"),
        now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        order.model,
        order.arguments,
        _version(order.repo),
    )
    answering = [AnsweringModel()]
    cautions: list[Caution] = []

    def finish(named: NamedData, shown: list[Row], texts: dict[str, str]) -> dict[str, Any]:
        records = records_of(
            named, shown, texts, answering[0], scores_options=order.scores_options, sampling=_sampling(order)
        )
        metrics = results.add(named, shown, records)
        cautions.extend(cautions_of_records({named.task: [record.to_json_dict() for record in records]}))
        return metrics

    class BenchC(BenchCModel):
        """Notes what the model says of itself."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            answering[0] = self.answering

    launch = Launch(data, rows, pictures, finish)
    vlmeval.dataset.BenchCDataset = dataset_class(launch)
    vlmeval.vlm.BenchCModel = BenchC
    configuration = {
        "model": {order.model: _settings_of_model(order)},
        "data": {name: {"class": "BenchCDataset", "dataset": name} for name in data},
    }
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "benchc.json"
        path.write_text(json.dumps(configuration), encoding="utf-8", newline="\n")
        words = ["--config", str(path), "--work-dir", str(order.work_dir), "--judge", order.judge]
        _run_main(order.repo, [*words, *(["--reuse"] if order.reuse else [])])
    return _ending(folder, data, results, cautions)


def _settings_of_model(order: Order) -> dict[str, object]:
    if order.scores_options:
        return {"class": "BenchCModel", **order.arguments}
    return {} if order.temperature is None else {"temperature": order.temperature}


def _run_main(repo: Path | None, words: list[str]) -> None:
    given = sys.argv
    sys.argv = ["vlmeval", *words]
    try:
        if repo is not None:
            runpy.run_path(str(repo / "run.py"), run_name="__main__")
        else:
            from vlmeval.run import main

            main()
    finally:
        sys.argv = given


def _ending(folder: Path, data: Mapping[str, NamedData], results: Results, cautions: Sequence[Caution]) -> int:
    """Say what became of each dataset: VLMEvalKit ends with status 0 whatever happened."""
    failed = [named.name for named in data.values() if named.task not in results.tasks]
    for name in failed:
        logger.error(f"{name} was not evaluated; VLMEvalKit's log above and {folder / 'status.json'} say why")
    for caution in dict.fromkeys(cautions):
        state = "this run does not count as complete" if caution.incomplete else "doubt this run"
        logger.log("ERROR" if caution.incomplete else "WARNING", f"{state}: {caution.sentence}")
    if results.tasks:
        logger.info(f"the records are in {folder}; see them with `benchc summary {folder}`")
    return int(bool(failed) or any(caution.incomplete for caution in cautions))


def _sampling(order: Order) -> Sampling | None:
    if order.votes == 1 or order.temperature is None:
        return None
    return Sampling(number=order.votes, temperature=order.temperature, seed=None)


def _commit(repo: Path) -> str | None:
    """Return the commit that is checked out; None for a copy without its history, or without git."""
    if not (repo / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(repo), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(repo: Path | None) -> str:
    if repo is not None:
        return f"a checkout of {commit}" if (commit := _commit(repo)) else "a checkout"
    for name in ("ms-vlmeval", "vlmeval"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
