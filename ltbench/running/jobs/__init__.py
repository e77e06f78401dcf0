"""Several runs of a matrix at once, each in a process of its own on one machine."""
