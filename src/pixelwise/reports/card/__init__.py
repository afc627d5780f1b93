"""Output of `deploy`: the deploy card on a terminal and as HTML, Markdown and JSON."""
