"""What a run folder holds: its only reader and writer. Never imports torch."""
