from __future__ import annotations

import shutil

import pytest
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.leaderboard.submission import write_submission


@pytest.fixture(scope="session")
def whole():
    """A whole run of few samples."""
    return made_run(8)


@pytest.fixture(scope="session")
def pristine(whole, tmp_path_factory):
    """The folder of its submission, not to be changed."""
    folder = tmp_path_factory.mktemp("submissions") / "pristine"
    write_submission(whole, folder, DETAILS, bootstrap=QUICK, created=CREATED)
    return folder


@pytest.fixture
def submission(pristine, tmp_path):
    """A copy of it to tamper with."""
    return shutil.copytree(pristine, tmp_path / "submission")
