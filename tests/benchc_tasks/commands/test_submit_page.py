"""The page on submitting: its commands are copied and run as they stand, and end in a site that has the same page."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from submissions_hub import Hub

from benchc_metrics.benchmark import STANDARD_PROMPT
from benchc_metrics.leaderboard.configuration import read_configuration
from benchc_metrics.leaderboard.schema import RasFacts
from benchc_metrics.leaderboard.site import SiteFacts
from benchc_metrics.metrics.ras import Reading
from benchc_metrics.pages.page import render_page
from benchc_tasks.commands.leaderboard import site_facts
from benchc_tasks.commands.verify import Accepted, sample_facts
from benchc_tasks.datasets import load_dataset, write_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from support import rows_of_samples

ROOT = Path(__file__).parents[3]
CONFIGURATION = """\
schema: benchc.leaderboard/1
title: Our leaderboard
dataset: {{id: lab/bench-c, fingerprint: {fingerprint}}}
ras_reading: confidence
prompt: {prompt}
address: https://huggingface.co/datasets/lab/submissions
"""


def page_of(facts: SiteFacts) -> str:
    return render_page("submit.html.jinja", site_title="T", notes=[], many=False, about=facts, has_charts=False)


def commands(page: str) -> list[str]:
    """The blocks of the page that a reader copies into a shell."""
    return [html.unescape(block) for block in re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page, re.DOTALL)]


@pytest.fixture
def hub() -> Iterator[Hub]:
    started = Hub()
    yield started
    started.server.shutdown()
    started.server.server_close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which the names of the page are there: the dataset `lab/bench-c` and the model `ORG/MODEL`."""
    write_dataset(tmp_path / "lab" / "bench-c" / "data.parquet", rows_of_samples(2))
    (tmp_path / "ORG").mkdir()
    (tmp_path / "ORG" / "MODEL").symlink_to(DEMONSTRATION_MODEL)
    fingerprint = load_dataset(tmp_path / "lab" / "bench-c").fingerprint
    written = CONFIGURATION.format(fingerprint=fingerprint, prompt=json.dumps(STANDARD_PROMPT))
    (tmp_path / "leaderboard.yaml").write_text(written)
    return tmp_path


def facts_of(place: Path) -> SiteFacts:
    dataset = load_dataset(place / "lab" / "bench-c")
    configuration = read_configuration(place / "leaderboard.yaml")
    return site_facts(Accepted(configuration, dataset.fingerprint, "lab/bench-c", sample_facts(dataset)), [])


def test_every_command_works_as_it_stands(place: Path, hub: Hub) -> None:
    page = page_of(facts_of(place))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": "a-token",
        "NO_PROXY": "127.0.0.1",
        # What is installed is what is asked for, so that nothing is fetched.
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
    }
    blocks = commands(page)
    assert len(blocks) == 4
    for block in blocks:
        done = subprocess.run(
            ["bash", "-ec", block], cwd=place, env=environment, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, (block, done.stdout[-2000:], done.stderr[-2000:])
    assert any(path.endswith("/benchc.json") for path in hub.files)
    words = ["submission", "-o", "site", "--config", "leaderboard.yaml", "--dataset", "lab/bench-c"]
    made = subprocess.run(
        [sys.executable, "-m", "benchc_tasks.commands.cli", "leaderboard", *words],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert commands((place / "site" / "submit.html").read_text(encoding="utf-8")) == blocks


def test_it_is_filled_from_the_configuration(place: Path) -> None:
    text = (place / "leaderboard.yaml").read_text()
    (place / "leaderboard.yaml").write_text(
        text.replace("{id: lab/bench-c,", "{id: lab/bench-c, revision: 0123abc,") + "install: 'benchc[vllm]==7.1'\n"
    )
    install, submit, verify, push = commands(page_of(facts_of(place)))
    assert install.startswith("pip install 'benchc[vllm]==7.1'\nbenchc run ")
    assert "--dataset lab/bench-c@0123abc -o runs" in install
    assert "--dataset-id lab/bench-c --dataset-revision 0123abc --ras-reading confidence" in submit
    assert verify == "benchc verify submission --dataset lab/bench-c@0123abc"
    assert push.endswith("--push lab/submissions")
    assert "https://huggingface.co/datasets/lab/submissions" in page_of(facts_of(place))


@pytest.mark.parametrize("reading", ["brier", "certainty"])
def test_a_reading_is_named_where_it_is_not_the_default(reading: Reading) -> None:
    facts = SiteFacts("f1", "1", STANDARD_PROMPT, 3, ras=RasFacts.read_as(reading))
    assert ("--ras-reading certainty" in commands(page_of(facts))[1]) == (reading == "certainty")


def test_what_is_installed_is_one_word_of_the_shell() -> None:
    facts = SiteFacts("f1", "1", STANDARD_PROMPT, 3, install="benchc; rm -rf ~")
    assert commands(page_of(facts))[0].startswith("pip install 'benchc; rm -rf ~'\n")
