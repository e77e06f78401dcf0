"""The leaderboard: records to rows, rows to tables."""

FORMATS = ("md", "json", "csv", "latex")
