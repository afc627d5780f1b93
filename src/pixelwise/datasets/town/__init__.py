"""Procedurally drawn street scenes with exact labels: data without a download."""
