"""The words of a comparison as frozen values: task, protocol, label shift, ranges of numbers.

What enters says on which terms a run is made and does nothing. Imports nothing of ltbench but ``ltbench.version`` and
``ltbench.errors``.
"""
