"""Predictions of many images as tars with receipts, in a folder or an object store, by one worker or by many."""
