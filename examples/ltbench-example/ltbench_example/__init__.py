"""An example of a plugin for ltbench."""
