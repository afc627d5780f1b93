"""A model as a server: HTTP in front, worker processes that decode and predict behind."""
