"""Submissions, their verification, and the leaderboard that is built from them."""
