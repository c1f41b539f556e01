"""A submission is handed in as a pull request, seen by a stand-in of the hub."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from run_folders import made_run, write_run
from submissions import QUICK
from submissions_hub import Hub

from benchc_metrics.leaderboard import submission as submissions_module
from benchc_metrics.leaderboard.verification import verify
from benchc_tasks.commands import submit
from benchc_tasks.corruptions import ENGINE_VERSION


@pytest.fixture
def start_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    started: list[Hub] = []

    def start(status: int = 200) -> Hub:
        hub = Hub(status)
        started.append(hub)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_TOKEN", "a-token")
        huggingface_hub.close_session()
        return hub

    yield start
    huggingface_hub.close_session()
    for hub in started:
        hub.server.shutdown()
        hub.server.server_close()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "model"
    write_run(made_run(6, engine=ENGINE_VERSION), folder)
    return folder


@pytest.fixture(autouse=True)
def quick_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(submissions_module.write_submission.__kwdefaults__, "bootstrap", QUICK)


def submitted(run_folder: Path, output: Path, *words: str) -> int:
    parser = ArgumentParser()
    submit.add_parser(parser.add_subparsers())
    details = ("--dataset-id", "lab/bench-c", "--model-id", "lab/model")
    chosen = parser.parse_args(["submit", str(run_folder), "-o", str(output), *details, *words])
    return chosen.run(chosen)


def test_a_pull_request_holds_the_submission_to_the_last_byte(
    run_folder: Path, tmp_path: Path, start_hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = start_hub()
    assert submitted(run_folder, tmp_path / "out", "--push", "lab/submissions") == 0
    assert f"Handed in: {hub.endpoint}/datasets/lab/submissions/discussions/7" in capsys.readouterr().out
    assert any("/commit/" in path and "create_pr=1" in path for path in hub.requests)
    assert hub.summary == "Add a submission of lab/model"
    (place,) = {"/".join(path.split("/")[:3]) for path in hub.files}
    assert place.startswith("lab/model/2")
    for path, content in hub.files.items():
        file = tmp_path / "received" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    found = verify(tmp_path / "received" / place, engine=ENGINE_VERSION, bootstrap=QUICK)
    assert found.findings == ()


def test_a_dry_run_lists_what_would_go_and_sends_and_keeps_nothing(
    run_folder: Path, tmp_path: Path, start_hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = start_hub()
    assert submitted(run_folder, tmp_path / "out", "--push", "lab/submissions", "--dry-run") == 0
    said = capsys.readouterr().out
    for name in ("benchc.json", "samples.parquet", ".eval_results/benchc.yaml"):
        assert f"/{name} (" in said
    assert hub.requests == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("repository", "status", "sentence"),
    [
        ("lab/elsewhere", 200, "shows you no dataset repository 'lab/elsewhere'"),
        ("lab/submissions", 403, r"refused the submission \(403\): run `hf auth login`"),
    ],
)
def test_what_the_hub_refuses_is_kept_with_the_command_that_sends_it(
    run_folder: Path, tmp_path: Path, start_hub, repository: str, status: int, sentence: str
) -> None:
    start_hub(status)
    with pytest.raises(ValueError, match=sentence) as refusal:
        submitted(run_folder, tmp_path / "out", "--push", repository)
    assert f"`hf upload {repository} {tmp_path / 'out'} lab/model/2" in str(refusal.value)
    assert (tmp_path / "out" / "benchc.json").is_file()


def test_offline_is_one_sentence(run_folder: Path, tmp_path: Path, start_hub, monkeypatch: pytest.MonkeyPatch) -> None:
    start_hub()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="the hub is out of reach"):
        submitted(run_folder, tmp_path / "out", "--push", "lab/submissions")


@pytest.mark.parametrize("words", [("--dry-run",), ("--push", "submissions"), ("--push", "a b/c")])
def test_what_cannot_be_pushed_is_said_before_any_work(
    run_folder: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="--push ORG/NAME"):
        submitted(run_folder, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()
