"""Evaluation by units with receipts, in a folder or an object store, by one worker or by many."""
