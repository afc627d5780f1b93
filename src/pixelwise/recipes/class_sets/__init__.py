"""Class names and colours of known data sets."""
