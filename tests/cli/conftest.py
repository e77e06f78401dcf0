from tests.support.real_records import copy, smoke_runs

__all__ = ["copy", "smoke_runs"]
