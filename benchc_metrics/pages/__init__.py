"""What the report and the leaderboard share: charts, tables, colours, the page."""
