"""The live page of a training: RUN/live.html."""
