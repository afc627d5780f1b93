"""Training a head on features that a frozen encoder has computed once: `data.cache_features`."""
