"""What the tests of the report ask its viewer in a browser."""

PAINTED = """() => {
  const canvas = document.querySelector('#overlay');
  const seen = {};
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  for (let at = 0; at < pixels.length; at += 4) {
    const color = pixels[at + 3] ? pixels.slice(at, at + 3).join() : '';
    seen[color] = (seen[color] ?? 0) + 1;
  }
  return seen;
}"""
"""Colour on the viewer's overlay -> number of pixels; without a colour, the photo is seen."""
