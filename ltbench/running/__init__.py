"""Performing a matrix of runs: which is next, who waits for whom, several at once, tuning, progress, trackers.

What enters moves a run from its plan to its record, or watches it. Imports ``results`` and what lies below, but not
``leaderboard``, its neighbor on the floor.
"""
