"""Backbones: images (B, channels, height, width) to embeddings (B, D)."""
