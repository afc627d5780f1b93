"""Audits by units, which the workers of a cluster examine into the cache folder."""
