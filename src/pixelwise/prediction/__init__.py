"""Images, folders and patterns -> class ids, masks and overlays."""
