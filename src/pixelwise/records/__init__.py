"""What a run folder holds; never imports torch."""
