"""The computer: devices, memory, threads; the only package that knows the operating system."""
