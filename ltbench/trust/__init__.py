"""Doubting a record: recompute what it says, rebuild its split, plan its run again, judge a second run of it.

What enters reads strangers' files as data and runs none of them. Imports ``leaderboard``, ``running`` and what lies below, but
neither ``api`` nor ``testing``, its neighbors on the floor.
"""
