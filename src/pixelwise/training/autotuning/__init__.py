"""Settings chosen by trials on the machine: the largest batch that fits and the fastest number format."""
