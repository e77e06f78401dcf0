"""Reproduction: from a record to the command that makes it again, and what a second run says of the first."""
