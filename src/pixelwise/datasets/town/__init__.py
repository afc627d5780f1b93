"""Street scenes drawn by rule, with exact labels: data without a download."""
