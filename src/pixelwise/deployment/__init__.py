"""A run as a deployable artefact: export, int8, and the card that measures all of them."""
