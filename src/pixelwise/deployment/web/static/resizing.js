// Resizing of images and of scores. Runs in the worker.
"use strict";

/** The size (height, width) at which the network sees an image. */
function seenSize(rules, height, width) {
  if (rules.resize === "none") return [height, width];
  if (rules.resize === "exact") return rules.size;
  if (rules.resize === "area") {
    const factor = Math.sqrt((rules.size[0] * rules.size[1]) / (height * width));
    return [Math.max(1, roundHalfEven(height * factor)), Math.max(1, roundHalfEven(width * factor))];
  }
  const small = Math.min(height, width), large = Math.max(height, width), shorter = rules.shorter_side;
  if (rules.longer_side === undefined) {
    return [height, width].map((side) => (side === small ? shorter : Math.floor((shorter * large) / small)));
  }
  const factor = Math.min(rules.longer_side / large, shorter / small);
  return [height, width].map((side) => Math.max(1, Math.floor(side * factor + 0.5)));
}

function roundHalfEven(value) {
  const below = Math.floor(value), rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** Bytes of an image at another size. */
function resizeImage({ width, height, rgb }, [high, wide], resampling) {
  if (high === height && wide === width) return { width, height, rgb };
  const shrinks = high * wide < height * width;
  const kind = resampling === "area" && !shrinks ? "linear" : resampling;
  const horizontal = imageWeights(width, wide, kind), vertical = imageWeights(height, high, kind);
  // Pillow rounds to bytes between both directions, with weights of 22 bits; others round once.
  const exact = kind === "antialiased";
  const across = exact ? new Uint8Array(height * wide * 3) : new Float64Array(height * wide * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (const { first, weights } of horizontal) {
      for (let band = 0; band < 3; band++, to++) {
        let sum = 0;
        for (let i = 0, from = (y * width + first) * 3 + band; i < weights.length; i++, from += 3) sum += rgb[from] * weights[i];
        across[to] = exact ? byteOf(sum) : sum;
      }
    }
  }
  const found = new Uint8Array(high * wide * 3), stride = wide * 3;
  vertical.forEach(({ first, weights }, y) => {
    for (let x = 0; x < stride; x++) {
      let sum = 0;
      for (let i = 0, from = first * stride + x; i < weights.length; i++, from += stride) sum += across[from] * weights[i];
      found[y * stride + x] = exact ? byteOf(sum) : Math.min(255, Math.max(0, roundHalfEven(sum)));
    }
  });
  return { width: wide, height: high, rgb: found };
}

const BITS = 22;

function byteOf(sum) {
  return Math.min(255, Math.max(0, Math.floor((sum + (1 << (BITS - 1))) / (1 << BITS))));
}

/** For each new pixel of a line the first old one and the weights of those from there on. */
function imageWeights(old, size, kind) {
  const scale = old / size;
  if (kind === "area" && scale <= 1) kind = "linear";
  return Array.from({ length: size }, (_, place) => {
    if (kind === "area") {
      const start = place * scale, end = Math.min(old, (place + 1) * scale), first = Math.floor(start);
      const weights = [];
      for (let i = first; i < Math.min(old, Math.ceil(end)); i++) {
        weights.push((Math.min(i + 1, end) - Math.max(i, start)) / scale);
      }
      return { first, weights };
    }
    if (kind === "linear") {
      const { first, second, share } = middle(place, old, size, false);
      return { first, weights: second > first ? [1 - share, share] : [1] };
    }
    const support = Math.max(1, scale), centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(old, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let i = first; i < end; i++) weights.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) * (1 / support))));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => Math.trunc((weight / total) * (1 << BITS) + 0.5)) };
  });
}

/** The two old places between which a new one lies, and the share of the second one. */
function middle(place, old, size, corners) {
  let at = corners ? (size > 1 ? (place * (old - 1)) / (size - 1) : 0) : ((place + 0.5) * old) / size - 0.5;
  at = Math.min(old - 1, Math.max(0, at));
  const first = Math.min(old - 1, Math.floor(at));
  return { first, second: Math.min(old - 1, first + 1), share: at - first };
}

/** Classes of the largest scores at another size, from rows of scores that arrive from top to bottom. */
class Decision {
  constructor(classes, [height, width], [high, wide], corners) {
    Object.assign(this, { classes, height, width, high, wide });
    this.labels = new Uint8Array(high * wide);
    this.rows = Array.from({ length: high }, (_, place) => middle(place, height, high, corners));
    const columns = Array.from({ length: wide }, (_, place) => middle(place, width, wide, corners));
    this.left = Int32Array.from(columns, ({ first }) => first);
    this.right = Int32Array.from(columns, ({ second }) => second);
    this.share = Float64Array.from(columns, ({ share }) => share);
    this.done = 0;
    this.arrived = 0;
    this.above = null;
    this.best = new Float64Array(wide);
    this.blended = new Float64Array(classes * width);
  }

  /** Take the next row: classes x width scores, which must not change afterwards. */
  push(row) {
    const index = this.arrived++;
    for (; this.done < this.high && this.rows[this.done].second <= index; this.done++) {
      const { first, second, share } = this.rows[this.done];
      this.decide(this.done, first === index ? row : this.above, second === index ? row : this.above, share);
    }
    this.above = row;
  }

  decide(y, upper, lower, share) {
    const { classes, width, wide, left, right, best, labels } = this, start = y * wide;
    let source = upper;
    if (share !== 0) {
      source = this.blended;
      for (let i = 0; i < source.length; i++) source[i] = upper[i] * (1 - share) + lower[i] * share;
    }
    const same = wide === width;
    for (let id = 0; id < classes; id++) {
      const from = id * width;
      for (let x = 0; x < wide; x++) {
        const part = this.share[x];
        const value = same ? source[from + x] : source[from + left[x]] * (1 - part) + source[from + right[x]] * part;
        if (id === 0 || value > best[x]) {
          best[x] = value;
          labels[start + x] = id;
        }
      }
    }
  }
}

/** Scores (classes x height x width) of a window at another size. */
function resizeScores(scores, classes, [height, width], [high, wide], corners) {
  if (height === high && width === wide) return scores;
  const rows = Array.from({ length: high }, (_, place) => middle(place, height, high, corners));
  const columns = Array.from({ length: wide }, (_, place) => middle(place, width, wide, corners));
  const found = new Float32Array(classes * high * wide);
  for (let id = 0, to = 0; id < classes; id++) {
    for (const row of rows) {
      const upper = (id * height + row.first) * width, lower = (id * height + row.second) * width;
      for (const { first, second, share } of columns) {
        const top = scores[upper + first] * (1 - share) + scores[upper + second] * share;
        const bottom = scores[lower + first] * (1 - share) + scores[lower + second] * share;
        found[to++] = top * (1 - row.share) + bottom * row.share;
      }
    }
  }
  return found;
}
