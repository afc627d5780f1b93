"""Files of images and masks to arrays."""
