"""Images that are too large to be decoded whole: read, predicted and written in parts."""
