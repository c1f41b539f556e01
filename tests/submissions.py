"""What small submissions in tests are made with."""

from __future__ import annotations

from datetime import datetime, timezone

from benchc_metrics.leaderboard.schema import BootstrapFacts
from benchc_metrics.leaderboard.submission import SubmissionDetails

QUICK = BootstrapFacts(resamples=60, seed=7, level=0.95)
DETAILS = SubmissionDetails(dataset_id="lab/bench-c", dataset_revision="0123abc", organisation="Lab")
CREATED = datetime(2026, 3, 2, 8, 30, tzinfo=timezone.utc)
