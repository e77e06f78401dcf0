"""The leaderboard: from finished records to rows, tables, their statistics, and the files and the page of a board.

What enters here reads records and predictions, and writes nothing but a board's own files. It may import ``results`` and what is
below it, and never runs a method.
"""

FORMATS = ("md", "json", "csv", "latex")
