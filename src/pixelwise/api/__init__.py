"""Verbs whose work ends in a page or a report, one file each: the work, then the report of it."""
