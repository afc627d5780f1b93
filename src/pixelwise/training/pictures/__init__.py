"""Pictures of what a training looks at, for its live page."""
