"""Runs on the Hugging Face Hub: fetched where `hub://OWNER/NAME` stands for a run, and published by `push`."""
