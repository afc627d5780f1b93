"""The machine the process runs on; the only package that knows the operating system. Never imports torch."""
