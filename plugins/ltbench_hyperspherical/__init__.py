"""Hyperspherical prototypes with dynamic label-to-prototype assignment."""
