// Image files to RGB bytes and class ids to PNG files, as Pixelwise reads and writes them. Runs in the worker.
"use strict";

/** An error whose message is for the person who looks at the page. */
class Problem extends Error {}

/** The pixels of an image file as it is to be seen: {width, height, rgb: Uint8Array of 3 bytes per pixel}. */
async function readImage(file, rules) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const found = isPng(bytes) ? await readPng(bytes, rules) : await readByBrowser(bytes, rules);
  return rules.exif === "apply" ? upright(found) : found;
}

function refuseTooLarge(width, height, rules) {
  if (width * height > rules.max_pixels) {
    throw new Problem(`The image has ${width} × ${height} pixels; at most ${rules.max_pixels} are accepted.`);
  }
}

/**
 * What the EXIF data of a JPEG or WebP file states as its orientation, and a copy of the file without that data. Browsers
 * turn a JPEG by it even if they are asked not to, and a WebP file not at all.
 */
function apartFromExif(bytes) {
  const copy = bytes.slice(), view = new DataView(copy.buffer);
  const spells = (at, text) => [...text].every((letter, place) => copy[at + place] === letter.charCodeAt(0));
  let orientation = 1;
  const take = (name, from, to) => {
    orientation = orientationOf(copy.slice(spells(from, "Exif\0\0") ? from + 6 : from, to));
    copy.fill(0x2d, name, name + 4); // by a name that nobody knows
  };
  if (view.byteLength > 4 && view.getUint16(0) === 0xffd8) {
    for (let at = 2; at + 10 <= copy.length && copy[at] === 0xff && copy[at + 1] !== 0xda; ) {
      const end = at + 2 + view.getUint16(at + 2);
      if (copy[at + 1] === 0xe1 && spells(at + 4, "Exif\0\0")) take(at + 4, at + 4, end);
      at = end;
    }
  } else if (spells(0, "RIFF") && spells(8, "WEBP")) {
    for (let at = 12; at + 8 <= copy.length; ) {
      const size = view.getUint32(at + 4, true);
      if (spells(at, "EXIF")) take(at, at + 8, at + 8 + size);
      at += 8 + size + (size & 1); // chunks begin at even places
    }
  }
  return { bytes: copy, orientation };
}

/** JPEG, WebP and others: decoded by the browser, without its colour management. */
async function readByBrowser(bytes, rules) {
  const file = apartFromExif(bytes);
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([file.bytes]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Problem("This browser cannot read the file as an image. Convert it to PNG or JPEG.");
  }
  const { width, height } = bitmap;
  refuseTooLarge(width, height, rules);
  const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (canvas === null) throw new Problem("The image is too large for this browser.");
  canvas.drawImage(bitmap, 0, 0);
  bitmap.close();
  const found = opaque(canvas.getImageData(0, 0, width, height).data, width, height, rules);
  return { ...found, orientation: file.orientation };
}

/** RGBA to RGB: transparent pixels keep their colours, or are blended onto black. */
function opaque(rgba, width, height, rules) {
  const rgb = new Uint8Array(width * height * 3), black = rules.alpha === "black";
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = black ? rgba[from + 3] : 255;
    for (let band = 0; band < 3; band++) {
      const value = rgba[from + band];
      rgb[to + band] = alpha === 255 ? value : Math.floor((value * alpha + 127) / 255);
    }
  }
  return { width, height, rgb, orientation: 1 };
}

/** The image turned as its file states it: EXIF's orientations 2 to 8. */
function upright({ width, height, rgb, orientation }) {
  if (orientation === 1) return { width, height, rgb };
  const swaps = orientation >= 5;
  const [wide, high] = swaps ? [height, width] : [width, height];
  const turned = new Uint8Array(rgb.length);
  for (let y = 0, to = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, to += 3) {
      let [column, row] = swaps ? [y, x] : [x, y];
      if ([2, 3, 7, 8].includes(orientation)) column = width - 1 - column;
      if ([3, 4, 6, 7].includes(orientation)) row = height - 1 - row;
      const from = (row * width + column) * 3;
      turned[to] = rgb[from];
      turned[to + 1] = rgb[from + 1];
      turned[to + 2] = rgb[from + 2];
    }
  }
  return { width: wide, height: high, rgb: turned };
}

// ---- PNG: decoded here, because a canvas loses the colours of transparent pixels and all but 8 bits.

const PNG = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** Offsets and steps of the seven images in an interlaced one: x, y, step of x, step of y. */
const INTERLACED = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

function isPng(bytes) {
  return PNG.every((value, place) => bytes[place] === value);
}

async function readPng(bytes, rules) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks = { IDAT: [] };
  for (let place = 8; place + 12 <= bytes.length; ) {
    const length = view.getUint32(place), name = String.fromCharCode(...bytes.subarray(place + 4, place + 8));
    const content = bytes.subarray(place + 8, place + 8 + length);
    if (name === "IDAT") chunks.IDAT.push(content);
    else chunks[name] ??= content;
    if (name === "IEND") break;
    place += 12 + length;
  }
  const header = chunks.IHDR;
  if (!header || header.length < 13 || !(header[9] in CHANNELS)) throw new Problem("The PNG file is damaged.");
  const facts = new DataView(header.buffer, header.byteOffset, 13);
  const png = {
    width: facts.getUint32(0), height: facts.getUint32(4), depth: header[8], kind: header[9],
    palette: chunks.PLTE, key: chunks.tRNS, count: CHANNELS[header[9]],
  };
  refuseTooLarge(png.width, png.height, rules);
  if (png.depth === 16 && !rules.input_range) {
    throw new Problem("The image has 16 bits per channel; this model was trained on images of 8 bits.");
  }
  const passes = header[12] ? INTERLACED : [[0, 0, 1, 1]];
  const samples = unfiltered(await inflated(chunks.IDAT), png, passes);
  const found = opaque(colours(samples, png, rules), png.width, png.height, rules);
  return { ...found, orientation: orientationOf(chunks.eXIf) };
}

async function inflated(parts) {
  try {
    const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Problem("The PNG file is damaged: its pixels cannot be unpacked.");
  }
}

/** The stored values, 16 bits each: height x width x count. */
function unfiltered(data, png, passes) {
  const { width, height, depth, count } = png, samples = new Uint16Array(width * height * count);
  const step = Math.max(1, (depth * count) >> 3);
  let place = 0;
  for (const [left, top, across, down] of passes) {
    const wide = Math.ceil((width - left) / across), high = Math.ceil((height - top) / down);
    if (wide <= 0 || high <= 0) continue;
    const length = Math.ceil((wide * count * depth) / 8);
    if (place + (length + 1) * high > data.length) throw new Problem("The PNG file is damaged: it ends too early.");
    let above = new Uint8Array(length);
    for (let y = 0; y < high; y++, place += length + 1) {
      const row = data.subarray(place + 1, place + 1 + length);
      unfilterRow(row, above, data[place], step);
      const start = (top + y * down) * width;
      for (let x = 0; x < wide; x++) {
        for (let band = 0; band < count; band++) {
          samples[(start + left + x * across) * count + band] = sampleOf(row, x * count + band, depth);
        }
      }
      above = row;
    }
  }
  return samples;
}

function unfilterRow(row, above, filter, step) {
  for (let at = 0; at < row.length; at++) {
    const a = at >= step ? row[at - step] : 0, b = above[at], c = at >= step ? above[at - step] : 0;
    if (filter === 1) row[at] += a;
    else if (filter === 2) row[at] += b;
    else if (filter === 3) row[at] += (a + b) >> 1;
    else if (filter === 4) {
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      row[at] += pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    } else if (filter !== 0) throw new Problem("The PNG file is damaged: it has an unknown filter.");
  }
}

function sampleOf(row, index, depth) {
  if (depth === 8) return row[index];
  if (depth === 16) return (row[2 * index] << 8) | row[2 * index + 1];
  const bit = index * depth;
  return (row[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Stored values as RGBA bytes. */
function colours(samples, png, rules) {
  const { kind, count, depth, palette, key } = png, pixels = samples.length / count;
  const rgba = new Uint8Array(pixels * 4), value = scale(depth, rules.input_range), grey = kind === 0 || kind === 4;
  const clear = key && kind !== 3 ? Array.from({ length: count }, (_, i) => (key[2 * i] << 8) | key[2 * i + 1]) : null;
  for (let pixel = 0, from = 0, to = 0; pixel < pixels; pixel++, from += count, to += 4) {
    if (kind === 3) {
      const entry = samples[from];
      for (let band = 0; band < 3; band++) rgba[to + band] = palette?.[3 * entry + band] ?? 0;
      rgba[to + 3] = key?.[entry] ?? 255;
      continue;
    }
    for (let band = 0; band < 3; band++) rgba[to + band] = value(samples[from + (grey ? 0 : band)]);
    if (count === 2 || count === 4) {
      const alpha = samples[from + count - 1];
      rgba[to + 3] = depth === 16 ? Math.round((255 * alpha) / 65535) : alpha;
    } else rgba[to + 3] = clear?.every((part, band) => part === samples[from + band]) ? 0 : 255;
  }
  return rgba;
}

/** Function from a stored value to a byte. */
function scale(depth, range) {
  if (depth === 8) return (value) => value;
  if (depth < 8) return (value) => value * (255 / ((1 << depth) - 1));
  const [low, high] = range, factor = Math.fround(255 / (high - low));
  return (value) => {
    const scaled = Math.fround(Math.fround(Math.fround(value - low) * factor) + 0.5);
    return Math.floor(Math.min(255, Math.max(0, scaled)));
  };
}

/** The orientation in a block of EXIF data, 1 to 8. */
function orientationOf(block) {
  if (!block || block.length < 8) return 1;
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength), little = block[0] === 0x49;
  try {
    const start = view.getUint32(4, little);
    for (let entry = 0; entry < view.getUint16(start, little); entry++) {
      const place = start + 2 + 12 * entry;
      if (view.getUint16(place, little) !== 274) continue;
      const value = view.getUint16(place + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch {
    // A damaged block is no statement.
  }
  return 1;
}

// ---- Class ids as a PNG file with a palette, like the masks of `pixelwise predict`.

const CRCS = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

async function maskFile(labels, width, height, palette) {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const header = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0]), facts = new DataView(header.buffer);
  facts.setUint32(0, width);
  facts.setUint32(4, height);
  const chunks = [["IHDR", header], ["PLTE", new Uint8Array(palette.flat())], ["IDAT", packed], ["IEND", []]];
  return new Blob([new Uint8Array(PNG), ...chunks.map(([name, content]) => chunk(name, content))], { type: "image/png" });
}

function chunk(name, content) {
  const found = new Uint8Array(content.length + 12), view = new DataView(found.buffer);
  view.setUint32(0, content.length);
  found.set([...name].map((letter) => letter.charCodeAt(0)), 4);
  found.set(content, 8);
  let crc = 0xffffffff;
  for (const value of found.subarray(4, -4)) crc = CRCS[(crc ^ value) & 255] ^ (crc >>> 8);
  view.setUint32(found.length - 4, ~crc >>> 0);
  return found;
}
