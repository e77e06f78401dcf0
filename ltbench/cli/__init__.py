"""The command line: one file a verb, which reads options, calls a room below and prints.

What enters turns typed words into values, or values into text for a terminal. This is the top floor: it imports everything, and
nothing imports it.
"""
