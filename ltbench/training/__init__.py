"""Training: one engine, one loop for every stage, checkpoints, feature banks, and the store of finished stages.

What enters takes a planned stage and makes a trained one, on one process or many. Imports ``planning`` and what lies below.
Test images are evaluated in ``results``, not here.
"""
