"""Prototype classifiers (Sharma et al., 2023)."""
