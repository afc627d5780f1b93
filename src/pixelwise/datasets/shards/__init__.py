"""Data sets in shards: tars of images and masks, and an index that says where each of them lies."""
