"""The data audit: examines every file, derives findings, and gives the verdict of `check`."""
