"""Verbs whose subject is several runs."""
