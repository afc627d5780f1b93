"""The deploy card, drawn."""
