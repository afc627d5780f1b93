// From an image file to its mask, as `model` (the content of model.toml) describes it. Runs in the worker.
"use strict";

/** Longest side of the picture that the page shows. */
const SHOWN = 2048;

let runtime, session, model;

onmessage = async ({ data }) => {
  try {
    postMessage(data.open ? await open(data.open) : { id: data.id, result: await predict(data.file) });
  } catch (error) {
    postMessage({ id: data.id, problem: error instanceof Problem ? error.message : reasonOf(error) });
  }
};

/** Start ONNX Runtime. It comes as text, so that the page works from a file, where nothing may be imported. */
async function open(given) {
  model = given.model;
  const address = URL.createObjectURL(new Blob([given.script], { type: "text/javascript" }));
  runtime = await import(address);
  runtime.env.wasm.wasmBinary = given.wasm;
  // Threads need headers that a plain file server does not send.
  runtime.env.wasm.numThreads = 1;
  runtime.env.logLevel = "error";
  session = await runtime.InferenceSession.create(new Uint8Array(given.network), { executionProviders: ["wasm"] });
  return { opened: true };
}

function reasonOf(error) {
  const text = String(error?.message ?? error);
  if (/memory|alloc|invalid array length|out of bounds/i.test(text)) {
    return `The browser does not have enough memory for this image (${text}). Try a smaller one.`;
  }
  return text;
}

async function predict(file) {
  const began = performance.now(), rules = model.inference;
  const image = await readImage(file, rules);
  const own = [image.height, image.width], seen = resizeImage(image, seenSize(rules, ...own), rules.resampling);
  const read = performance.now();
  const { decision, windows } = await decide(seen, own);
  const labels = model.inference.pad_to ? atNearest(decision, own) : decision.labels;
  const decided = performance.now();
  const counts = new Array(model.classes.length).fill(0);
  for (const id of labels) counts[id]++;
  const mask = await maskFile(labels, image.width, image.height, model.palette);
  const shown = preview(image, labels);
  return {
    width: image.width, height: image.height, seen: [seen.width, seen.height], windows, counts, mask, shown,
    milliseconds: { read: read - began, network: decided - read },
  };
}

/** The classes of an image at the size at which the network sees it. */
async function decide(seen, own) {
  const rules = model.inference, size = [seen.height, seen.width], classes = model.classes.length;
  const large = size[0] * size[1] > rules.whole_pixels;
  const window = rules.window ?? (large ? rules.large_window : size);
  const part = window.map((side, axis) => Math.min(side, size[axis]));
  const least = model.input.size ?? rules.pad_to ?? [0, 0], padded = part.map((side, axis) => Math.max(side, least[axis]));
  const whole = part.every((side, axis) => side === size[axis]);
  // Where images are padded, classes are decided at the size of the input.
  const decision = new Decision(classes, [0, 0], [0, 0], false);
  const target = rules.pad_to ? size : own, corners = model.output.align_corners;
  if (whole && padded.every((side, axis) => side === size[axis])) {
    const found = await run(seen, 0, 0, part, padded);
    Object.assign(decision, new Decision(classes, found.size, target, corners));
    for (let y = 0; y < found.size[0]; y++) decision.push(rowOf(found, classes, y));
    return { decision, windows: 1 };
  }
  Object.assign(decision, new Decision(classes, size, target, corners));
  const windows = await joined(seen, part, padded, whole, (row) => decision.push(row));
  return { decision, windows };
}

/** Look through windows from top to bottom; rows that no further window touches are passed on. */
async function joined(seen, part, padded, whole, emit) {
  const { window_stride: stride, even_windows: even, blend } = model.inference, classes = model.classes.length;
  const steps = stride ?? part.map((side) => Math.max(1, Math.floor((side * 3) / 4)));
  const [tops, lefts] = [seen.height, seen.width].map((length, axis) => starts(length, part[axis], steps[axis], even));
  const rows = new Map(), central = blend === "central";
  for (let place = 0; place < tops.length; place++) {
    const top = tops[place];
    for (const left of lefts) {
      const found = await run(seen, top, left, part, padded);
      const scores = resizeScores(scoresOf(found, classes), classes, found.size, padded, model.output.align_corners);
      if (blend === "probabilities" && !whole) probabilities(scores, classes, padded[0] * padded[1]);
      for (let y = 0; y < part[0]; y++) {
        if (!rows.has(top + y)) rows.set(top + y, newRow(seen.width, classes, central));
        const row = rows.get(top + y);
        for (let x = 0; x < part[1]; x++) add(row, left + x, scores, y * padded[1] + x, padded, distance(y, x, part), central);
      }
    }
    const next = place + 1 < tops.length ? tops[place + 1] : seen.height;
    for (let y = top; y < next; y++) {
      emit(mean(rows.get(y), seen.width));
      rows.delete(y);
    }
  }
  return tops.length * lefts.length;
}

function starts(length, window, step, even) {
  const found = [];
  if (even) {
    const last = Math.ceil((length - window) / step);
    for (let at = 0; at <= last; at++) found.push(Math.floor((at * (length - window)) / Math.max(1, last)));
    return found;
  }
  for (let start = 0; start < length - window + step; start += step) found.push(Math.min(start, length - window));
  return found;
}

function newRow(width, classes, central) {
  const weight = new Float32Array(width);
  return { sums: new Float32Array(classes * width), weight: central ? weight.fill(Infinity) : weight, central };
}

/** Squared distance of a pixel from the centre of its window, in half pixels. */
function distance(y, x, [height, width]) {
  return (2 * y + 1 - height) ** 2 + (2 * x + 1 - width) ** 2;
}

function add(row, x, scores, from, [height, width], away, central) {
  const classes = model.classes.length, across = row.weight.length, plane = height * width;
  if (central && away >= row.weight[x]) return;
  for (let id = 0; id < classes; id++) {
    const value = scores[id * plane + from];
    if (central) row.sums[id * across + x] = value;
    else row.sums[id * across + x] += value;
  }
  row.weight[x] = central ? away : row.weight[x] + 1;
}

function mean({ sums, weight, central }, width) {
  if (!central) for (let i = 0; i < sums.length; i++) sums[i] /= weight[i % width];
  return sums;
}

/** Softmax of logits; parts of their sum of scores that are 0 or more. */
function probabilities(scores, classes, plane) {
  const summed = model.output.scores === "probabilities";
  for (let at = 0; at < plane; at++) {
    let most = -Infinity, total = 0;
    if (summed) {
      for (let id = 0; id < classes; id++) total += scores[id * plane + at];
      for (let id = 0; id < classes; id++) scores[id * plane + at] /= Math.max(total, 1e-12);
      continue;
    }
    for (let id = 0; id < classes; id++) most = Math.max(most, scores[id * plane + at]);
    for (let id = 0; id < classes; id++) total += scores[id * plane + at] = Math.exp(scores[id * plane + at] - most);
    for (let id = 0; id < classes; id++) scores[id * plane + at] /= total;
  }
}

/** Run the network on a part of an image, padded at the right and bottom: {data, size: [height, width], labels}. */
async function run(seen, top, left, part, padded) {
  const { name, dtype } = model.input, inputs = dtype === "uint8" ? bytesOf(seen, top, left, part, padded) : null;
  const tensor = inputs
    ? new runtime.Tensor("uint8", inputs, [1, ...padded, 3])
    : new runtime.Tensor("float32", normalised(seen, top, left, part, padded), [1, 3, ...padded]);
  const found = (await session.run({ [name]: tensor }))[model.output.name];
  return { data: found.data, size: found.dims.slice(-2), labels: model.output.name === "labels" };
}

/** RGB bytes, height x width x 3; the padding has the mean colour. */
function bytesOf(seen, top, left, [height, width], [high, wide]) {
  const found = new Uint8Array(high * wide * 3), colour = model.preprocessing.mean.map((value) => roundHalfEven(Math.fround(value) * 255));
  if (high !== height || wide !== width) for (let i = 0; i < found.length; i++) found[i] = colour[i % 3];
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * seen.width + left) * 3;
    found.set(seen.rgb.subarray(from, from + width * 3), y * wide * 3);
  }
  return found;
}

/** (image / 255 - mean) / std, 3 x height x width, in the arithmetic of float32; the padding is zero. */
function normalised(seen, top, left, [height, width], [high, wide]) {
  const { mean, std } = model.preprocessing, found = new Float32Array(3 * high * wide);
  for (let band = 0; band < 3; band++) {
    const [middle, spread] = [Math.fround(mean[band]), Math.fround(std[band])];
    const values = Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround(value / 255) - middle) / spread);
    for (let y = 0; y < height; y++) {
      const from = ((top + y) * seen.width + left) * 3 + band, to = (band * high + y) * wide;
      for (let x = 0; x < width; x++) found[to + x] = values[seen.rgb[from + 3 * x]];
    }
  }
  return found;
}

/** Scores classes x height x width; class ids as their one-hot code. */
function scoresOf({ data, labels, size }, classes) {
  if (!labels) return data;
  const plane = size[0] * size[1], scores = new Float32Array(classes * plane);
  data.forEach((id, at) => { scores[id * plane + at] = 1; });
  return scores;
}

function rowOf({ data, size, labels }, classes, y) {
  const [height, width] = size, row = new Float32Array(classes * width);
  if (labels) {
    for (let x = 0; x < width; x++) row[data[y * width + x] * width + x] = 1;
    return row;
  }
  for (let id = 0; id < classes; id++) {
    const from = (id * height + y) * width;
    row.set(data.subarray(from, from + width), id * width);
  }
  return row;
}

/** Class ids at another size, each that of the pixel at the floor of its place. */
function atNearest({ labels, high, wide }, [height, width]) {
  if (high === height && wide === width) return labels;
  const found = new Uint8Array(height * width);
  for (let y = 0, to = 0; y < height; y++) {
    const from = Math.floor((y * high) / height) * wide;
    for (let x = 0; x < width; x++, to++) found[to] = labels[from + Math.floor((x * wide) / width)];
  }
  return found;
}

/** What the page shows: RGBA pixels and class ids, at most SHOWN pixels wide and high. */
function preview({ width, height, rgb }, labels) {
  const shrink = Math.max(1, width / SHOWN, height / SHOWN);
  const wide = Math.max(1, Math.floor(width / shrink)), high = Math.max(1, Math.floor(height / shrink));
  const pixels = new Uint8ClampedArray(wide * high * 4), ids = new Uint8Array(wide * high);
  for (let y = 0, to = 0; y < high; y++) {
    const row = Math.floor((y * height) / high) * width;
    for (let x = 0; x < wide; x++, to++) {
      const from = row + Math.floor((x * width) / wide);
      ids[to] = labels[from];
      pixels.set([rgb[3 * from], rgb[3 * from + 1], rgb[3 * from + 2], 255], 4 * to);
    }
  }
  return { width: wide, height: high, pixels, ids };
}
