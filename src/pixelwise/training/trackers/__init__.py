"""Trackers, which record what happens in a run: its own log always, others by name."""
