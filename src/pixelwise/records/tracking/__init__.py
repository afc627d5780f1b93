"""What trackers receive of a run: new records of its log, named series of them, and how far each tracker has come."""
