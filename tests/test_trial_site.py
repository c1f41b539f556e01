"""The script that builds a site of the trial runs."""

from __future__ import annotations

from pathlib import Path

import trial_site

from benchc_metrics.leaderboard.downloads import LeaderboardData
from benchc_metrics.leaderboard.site import ALL


def test_it_builds_a_site_of_each_kind(tmp_path: Path) -> None:
    chosen = tuple(
        trial
        for trial in trial_site.TRIALS
        if trial.model in ("trial/plain", "trial/plain-voting", "trial/plain-writing", "trial/ignores-the-picture")
    )
    site = trial_site.build(tmp_path / "trial", chosen)
    data = LeaderboardData.model_validate_json((site / "leaderboard.json").read_text(encoding="utf-8"))
    found = {model.name: model for model in data.models}
    assert set(found) == {trial.model for trial in chosen} | {"trial/plain (lite)"}
    assert {model.method for model in data.models} == {"log-likelihoods", "votes", "generated letters"}
    unranked = [name for name, model in found.items() if model.views[0].rank is None]
    assert unranked == ["trial/ignores-the-picture"]
    assert found["trial/plain"].views[0].corruptions == ALL
    assert "huggingface.co/datasets/benchc/trial-submissions" in (site / "submit.html").read_text(encoding="utf-8")
