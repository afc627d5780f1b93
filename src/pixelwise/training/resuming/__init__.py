"""Resuming a run: which settings may change, and what that makes of the run."""
