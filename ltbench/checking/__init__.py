"""Checking: whether a record may be believed, as far as the record, the installed plugins and the data can tell."""
