"""Contrastive methods for long tails."""
