"""Training: one engine, one loop for every stage, checkpoints, and the store of finished stages."""
