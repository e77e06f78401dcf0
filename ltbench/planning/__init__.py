"""From an expression to a plan: ``ldam+drw/crt`` becomes stages with their methods, settings, and the keys they are stored under.

What enters decides before anything is trained. Imports ``method`` and what lies below.
"""
