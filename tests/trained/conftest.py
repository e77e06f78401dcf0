from tests.support.trained_runs import digit_files, trained_runs

__all__ = ["digit_files", "trained_runs"]
