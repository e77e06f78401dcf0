"""What is left of a run: predictions on test images, the figures computed from them, and the record that holds both.

What enters evaluates, computes a figure, or reads and writes records. Imports ``training`` and what lies below.
"""
