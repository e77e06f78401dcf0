"""Plugins: the hooks they implement, the light specs they return, how they are found, and the hashes of their sources.

What enters can describe a plugin without importing it, so nothing here imports torch. Imports nothing of ltbench but
``ltbench.version`` and ``ltbench.errors``.
"""
