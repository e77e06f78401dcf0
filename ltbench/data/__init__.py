"""Datasets, the long-tailed construction, samplers and batches: everything between image files and a batch on the device.

What enters turns images and labels into parts, splits or batches, and is the same whatever method trains on them. Imports
``registry``, ``terms``, ``system`` and what lies below. This file stays empty, so that listing datasets imports no torch.
"""
