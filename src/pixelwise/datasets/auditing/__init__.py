"""Auditing: every file is examined, findings are concluded from what was seen, and `check` gives its verdict."""
