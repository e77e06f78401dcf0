"""From records to boards: rows, intervals, ranks, tables, and the page of a board.

What enters is a function of records alone: the same records give the same bytes on any machine. Imports ``results`` and what lies
below, but not ``running``, its neighbor on the floor.
"""

FORMATS = ("md", "json", "csv", "latex")
