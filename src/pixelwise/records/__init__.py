"""The records in a run folder; only this package reads and writes them. Never imports torch."""
