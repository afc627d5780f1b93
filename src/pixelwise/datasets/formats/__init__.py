"""Data formats, one module each: how to recognise them and list their image-mask pairs."""
