"""Images of results that are larger than the pictures that runs keep: in tiles, at their own size."""
