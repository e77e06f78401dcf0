from tests.support.real_records import copy, refuse, smoke_runs

__all__ = ["copy", "refuse", "smoke_runs"]
