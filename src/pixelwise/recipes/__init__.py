"""What was published and how a run is described: data only, never imports torch."""
