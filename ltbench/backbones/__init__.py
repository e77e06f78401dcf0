"""Backbones: networks from images (B, channels, height, width) to embeddings (B, D), and weights that others trained.

What enters builds a network or reads weights into one. Imports ``data`` and what lies below. Heads and losses live in ``method``.
"""
