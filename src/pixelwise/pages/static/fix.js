// The label editor. A mask is an array of places in a table of stored values; what is painted is sent as runs of pixels,
// and a stroke counts as saved when the server has said so.

const fix = document.getElementById("fix");
const stage = document.getElementById("stage");
const sheet = document.getElementById("sheet");
const photo = document.getElementById("photo");
const tilesOf = document.getElementById("tiles");
const over = document.getElementById("over");
const ring = document.getElementById("ring");
const statusLine = document.getElementById("status");
const discard = document.getElementById("discard");
const sizeSlider = document.getElementById("size");
const opacitySlider = document.getElementById("opacity");
const rangeSlider = document.getElementById("range");
const runChoice = document.getElementById("run");
const classButtons = [...document.querySelectorAll("[data-class]")];
const toolButtons = [...document.querySelectorAll("[data-tool]")];
const layerLinks = [...document.querySelectorAll("a[data-layer]")]; // of multi-label data: a mask for each class
const others = document.getElementById("others");
const address = `/fix/${fix.dataset.image}`, layer = fix.dataset.layer === undefined ? "" : `layer=${fix.dataset.layer}`;
const editable = fix.dataset.edit === "1";
const eraserClass = Number(fix.dataset.eraser);
const session = Array.from(crypto.getRandomValues(new Uint8Array(12)), (one) => one.toString(16).padStart(2, "0")).join("");

const IGNORED = 255, UNKNOWN = -1, NOTHING = 255;
const TILE = 512, MOST_RUNS = 1 << 20, MOST_UNDONE = 1 << 22;
const WAITS = [300, 600, 1200, 2500, 5000];

let width = 0, height = 0, version = "";
let mask = new Uint16Array(0), settled = mask;      // as painted; as before the current stroke
const values = [], meanings = [], slotOf = new Map(); // place <-> stored value, and its class
const paints = new Map();                           // class -> place
let colors = new Uint32Array(0), otherColors = colors; // by place: RGBA as little-endian numbers; the second of a checker
let tiles = [], pixels = null, prediction = null, predictionOf = "";
let pending = [], inFlight = 0, failures = 0, savedStrokes = 0, blocked = "", stale = false, reloading = false;
let undone = [], done = [], doneRuns = 0;
let tool = "brush", chosen = 0, view = { x: 0, y: 0, scale: 1 }, fitted = true;
let cursor = { x: 0, y: 0 }, stroke = null, pan = null, spaceHeld = false, penDown = false, polygon = [];

// ---- The mask: loading and drawing ----

function slot(value, meaning) {
  let place = slotOf.get(value);
  if (place === undefined) {
    place = values.length;
    slotOf.set(value, place);
    values.push(value);
    meanings.push(meaning);
  } else if (meaning !== UNKNOWN) {
    meanings[place] = meaning;
  }
  return place;
}

async function download() {
  const answer = await fetch(`${address}/mask?${layer}`, { cache: "no-store" });
  if (answer.status === 422) throw new Error((await answer.json()).reason);
  if (!answer.ok) throw new Error(`The server has answered with ${answer.status}.`);
  return answer.arrayBuffer();
}

function take(content) {
  const length = new DataView(content).getUint32(0, true);
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 4, length)));
  const places = facts.wide ? new Uint16Array(content, 4 + length) : new Uint8Array(content, 4 + length);
  const table = Uint16Array.from(facts.values, (value, place) => slot(value, facts.meanings[place]));
  paints.clear();
  for (const [classId, value] of facts.paints) paints.set(classId, slotOf.get(value));
  ({ width, height, version } = facts);
  mask = new Uint16Array(width * height);
  for (let i = 0; i < mask.length; i++) mask[i] = table[places[i]];
  colorTables();
}

function colorTables() {
  colors = new Uint32Array(values.length);
  otherColors = new Uint32Array(values.length);
  const shown = new Map(classButtons.filter((one) => one.dataset.color).map((one) => [Number(one.dataset.class), one.dataset.color]));
  meanings.forEach((meaning, place) => {
    const color = shown.get(meaning);
    if (meaning === eraserClass && meaning !== IGNORED) return; // the photo shows through the background
    if (color) {
      const code = parseInt(color.slice(1), 16);
      colors[place] = otherColors[place] = (0xff000000 | (code & 255) << 16 | (code & 0xff00) | code >> 16) >>> 0;
    } else {
      colors[place] = meaning === UNKNOWN ? 0xffff00ff : 0x60707070; // a photo is seen where nothing is labelled yet
      otherColors[place] = meaning === UNKNOWN ? 0xff000000 : 0x60b0b0b0;
    }
  });
}

function makeTiles() {
  tilesOf.replaceChildren();
  tiles = [];
  for (let top = 0; top < height; top += TILE) {
    for (let left = 0; left < width; left += TILE) {
      const canvas = document.createElement("canvas");
      canvas.width = Math.min(TILE, width - left);
      canvas.height = Math.min(TILE, height - top);
      canvas.style.left = `${left}px`;
      canvas.style.top = `${top}px`;
      tilesOf.append(canvas);
      tiles.push({ left, top, right: left + canvas.width, bottom: top + canvas.height, context: canvas.getContext("2d", { willReadFrequently: true }) });
    }
  }
}

// Draws what has changed: [left, right) x [top, bottom).
function draw(left, top, right, bottom) {
  for (const tile of tiles) {
    const x0 = Math.max(left, tile.left), x1 = Math.min(right, tile.right);
    const y0 = Math.max(top, tile.top), y1 = Math.min(bottom, tile.bottom);
    if (x0 >= x1 || y0 >= y1) continue;
    const image = tile.context.createImageData(x1 - x0, y1 - y0);
    const target = new Uint32Array(image.data.buffer);
    let at = 0;
    for (let y = y0; y < y1; y++) {
      for (let x = x0, i = y * width + x0; x < x1; x++, i++) {
        target[at++] = (x >> 2) + (y >> 2) & 1 ? otherColors[mask[i]] : colors[mask[i]];
      }
    }
    tile.context.putImageData(image, x0 - tile.left, y0 - tile.top);
  }
}

async function loadPhoto() {
  const answer = await fetch(`${address}/photo?${layer}`);
  if (!answer.ok) throw new Error("The image cannot be shown.");
  const bitmap = await createImageBitmap(await answer.blob());
  photo.width = width;
  photo.height = height;
  const context = photo.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
}

// ---- Strokes: what changes, undoing, saving ----

function begin() {
  stroke = { left: width, top: height, right: 0, bottom: 0 };
}

function touch(left, top, right, bottom) {
  stroke.left = Math.min(stroke.left, left);
  stroke.top = Math.min(stroke.top, top);
  stroke.right = Math.max(stroke.right, right);
  stroke.bottom = Math.max(stroke.bottom, bottom);
  draw(left, top, right, bottom);
}

// Ends a stroke: its runs (first pixel, number, place before, place after) can be undone and are sent.
function commit() {
  const { left, top, right, bottom } = stroke;
  stroke = null;
  const runs = [];
  for (let y = top; y < bottom; y++) {
    const end = y * width + right;
    for (let i = y * width + left; i < end; i++) {
      const now = mask[i], before = settled[i];
      if (now === before) continue;
      const first = i;
      while (i + 1 < end && mask[i + 1] === now && settled[i + 1] === before) i++;
      settled.fill(now, first, i + 1);
      runs.push(first, i + 1 - first, before, now);
    }
  }
  if (stale) reload();
  if (!runs.length) return;
  done.push(runs);
  doneRuns += runs.length;
  while (doneRuns > MOST_UNDONE && done.length > 1) doneRuns -= done.shift().length;
  undone = [];
  send(runs, 3);
}

function send(runs, which) {
  const sent = new Uint32Array(runs.length / 4 * 3);
  for (let from = 0, to = 0; from < runs.length; from += 4, to += 3) {
    sent[to] = runs[from];
    sent[to + 1] = runs[from + 1];
    sent[to + 2] = values[runs[from + which]];
  }
  pending.push(sent);
  save();
}

function step(from, to, which) {
  if (!editable || stroke || !from.length) return;
  const runs = from.pop();
  to.push(runs);
  let top = height, bottom = 0;
  for (let at = 0; at < runs.length; at += 4) {
    const first = runs[at], end = first + runs[at + 1];
    mask.fill(runs[at + which], first, end);
    settled.fill(runs[at + which], first, end);
    top = Math.min(top, Math.floor(first / width));
    bottom = Math.max(bottom, Math.floor((end - 1) / width) + 1);
  }
  draw(0, top, width, bottom);
  send(runs, which);
}

const undo = () => step(done, undone, 2);
const redo = () => step(undone, done, 3);

function tell() {
  const count = pending.length;
  const strokes = count === 1 ? "1 stroke" : `${count} strokes`;
  const reason = blocked || (failures > 1 ? "the server does not answer. They stay here and are sent again." : "");
  statusLine.textContent = !editable ? "Read only" : count === 0 ? "Saved" : reason ? `${strokes} not saved: ${reason}` : `Saving ${strokes}`;
  statusLine.dataset.saved = String(savedStrokes);
  statusLine.dataset.pending = String(count);
  statusLine.classList.toggle("trouble", count > 0 && reason !== "");
  if (discard) discard.hidden = !blocked;
}

// Sends what is not saved yet, as one change; a lost answer is no harm, because runs say what pixels become.
async function save() {
  tell();
  if (inFlight || reloading || stale || !pending.length || !version || !editable) return;
  let length = 0;
  while (inFlight < pending.length && (inFlight === 0 || length + pending[inFlight].length <= 3 * MOST_RUNS)) length += pending[inFlight++].length;
  const body = new Uint32Array(length);
  for (let number = 0, at = 0; number < inFlight; at += pending[number++].length) body.set(pending[number], at);
  const parts = Math.ceil(length / (3 * MOST_RUNS)) || 1;
  let status = 0, reason = "";
  try {
    for (let part = 0; part < parts; part++) {
      const answer = await fetch(`${address}/mask?base=${version}&session=${session}&${layer}`, {
        method: "PUT",
        headers: { "content-type": "application/octet-stream" },
        body: body.subarray(part * 3 * MOST_RUNS, (part + 1) * 3 * MOST_RUNS),
        signal: AbortSignal.timeout(60000),
      });
      status = answer.status;
      if (status !== 200) {
        if (answer.headers.get("content-type")?.startsWith("application/json")) ({ reason } = await answer.json());
        break;
      }
      ({ version } = await answer.json());
    }
  } catch {
    status = 0;
  }
  const sent = inFlight;
  inFlight = 0;
  blocked = "";
  if (status === 200) {
    pending.splice(0, sent);
    savedStrokes += sent;
    failures = 0;
  } else if (status === 409) {
    await reload();
  } else if ([400, 404, 405, 413, 415, 422].includes(status)) {
    blocked = reason || `the server has answered with ${status}.`;
  } else {
    failures++;
    if (status === 403) blocked = "the server was started anew. Open the address that it has printed, in another tab: the strokes are then sent from here.";
    else if (status >= 500 && reason) blocked = reason;
    setTimeout(save, WAITS[Math.min(failures, WAITS.length) - 1]);
    return tell();
  }
  tell();
  if (!blocked && pending.length) save();
}

// Another program has changed the mask: it is read again, and what is not saved yet is painted on it.
async function reload() {
  if (stroke || reloading) {
    stale = stroke !== null;
    return;
  }
  stale = false;
  reloading = true;
  try {
    const content = await download();
    stale = stroke !== null; // begun meanwhile: it is finished on the old mask
    if (stale) return;
    take(content);
  } catch (error) {
    failures++;
    setTimeout(reload, WAITS[Math.min(failures, WAITS.length) - 1]);
    return tell();
  } finally {
    reloading = false;
  }
  for (const runs of pending) {
    for (let at = 0; at < runs.length; at += 3) {
      const end = runs[at] + runs[at + 1];
      if (end <= mask.length) mask.fill(slot(runs[at + 2], UNKNOWN), runs[at], end);
    }
  }
  if (colors.length < values.length) colorTables();
  settled = mask.slice();
  done = [];
  undone = [];
  doneRuns = 0;
  if (tiles.length) draw(0, 0, width, height);
  note("Another program has changed the mask. It was read again, with the strokes that were not saved yet.");
  setTimeout(save);
}

function note(text) {
  document.getElementById("note").textContent = text;
}

// ---- Tools ----

const placeToPaint = () => paints.get(tool === "eraser" ? (paints.has(eraserClass) ? eraserClass : 0) : chosen);
const radius = () => (sizeSlider ? Number(sizeSlider.value) / 2 : 0); // a mask that is only looked at has no brush

// A line of the brush: all pixels whose centre is no further than the radius from the line between two points.
function paintLine(a, b, place) {
  const started = performance.now(), r = Math.max(radius(), 0.5), r2 = r * r;
  const left = Math.max(0, Math.floor(Math.min(a.x, b.x) - r)), right = Math.min(width, Math.ceil(Math.max(a.x, b.x) + r));
  const top = Math.max(0, Math.floor(Math.min(a.y, b.y) - r)), bottom = Math.min(height, Math.ceil(Math.max(a.y, b.y) + r));
  if (left >= right || top >= bottom) return;
  const dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  for (let y = top; y < bottom; y++) {
    const py = y + 0.5 - a.y;
    for (let x = left, i = y * width + left; x < right; x++, i++) {
      const px = x + 0.5 - a.x;
      let t = length2 ? (px * dx + py * dy) / length2 : 0;
      t = t < 0 ? 0 : t > 1 ? 1 : t;
      const ex = px - t * dx, ey = py - t * dy;
      if (ex * ex + ey * ey <= r2) mask[i] = place;
    }
  }
  if (r === 0.5) mask[Math.min(height - 1, Math.max(0, Math.floor(b.y))) * width + Math.min(width - 1, Math.max(0, Math.floor(b.x)))] = place;
  touch(left, top, right, bottom);
  if (performance.getEntriesByName("brush").length > 999) performance.clearMeasures("brush");
  performance.measure("brush", { start: started });
}

// Paints the connected pixels around a point that `same` holds for; connected by sides.
function flood(x, y, same, place) {
  const seen = new Uint8Array(width * height), waiting = [y * width + x];
  begin();
  let left = width, top = height, right = 0, bottom = 0;
  seen[waiting[0]] = 1;
  while (waiting.length) {
    const at = waiting.pop(), row = Math.floor(at / width) * width;
    let first = at, last = at;
    while (first > row && !seen[first - 1] && same(first - 1)) seen[--first] = 1;
    while (last + 1 < row + width && !seen[last + 1] && same(last + 1)) seen[++last] = 1;
    mask.fill(place, first, last + 1);
    left = Math.min(left, first - row);
    right = Math.max(right, last - row + 1);
    top = Math.min(top, row / width);
    bottom = Math.max(bottom, row / width + 1);
    for (const step of [-width, width]) {
      if (row + step < 0 || row + step >= seen.length) continue;
      for (let i = first + step, inside = false; i <= last + step; i++) {
        const fits = !seen[i] && same(i);
        if (fits && !inside) {
          seen[i] = 1;
          waiting.push(i);
        }
        inside = fits;
      }
    }
  }
  touch(left, top, right, bottom);
  commit();
}

function similar(x, y) {
  const seed = pixels[y * width + x], most = Number(rangeSlider.value);
  const r = seed & 255, g = seed >> 8 & 255, b = seed >> 16 & 255;
  return (i) => {
    const one = pixels[i];
    return Math.abs((one & 255) - r) <= most && Math.abs((one >> 8 & 255) - g) <= most && Math.abs((one >> 16 & 255) - b) <= most;
  };
}

// Fills a polygon: pixels whose centre lies inside, by the even-odd rule.
function fillPolygon() {
  const points = polygon, place = placeToPaint();
  cancelPolygon();
  if (points.length < 3 || place === undefined) return;
  const top = Math.max(0, Math.floor(Math.min(...points.map((one) => one.y)))), bottom = Math.min(height, Math.ceil(Math.max(...points.map((one) => one.y))));
  begin();
  let left = width, right = 0;
  for (let y = top; y < bottom; y++) {
    const crossings = [];
    points.forEach((a, number) => {
      const b = points[(number + 1) % points.length];
      if (a.y <= y + 0.5 !== b.y <= y + 0.5) crossings.push(a.x + (y + 0.5 - a.y) / (b.y - a.y) * (b.x - a.x));
    });
    crossings.sort((a, b) => a - b);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const first = Math.max(0, Math.ceil(crossings[pair] - 0.5)), end = Math.min(width, Math.ceil(crossings[pair + 1] - 0.5));
      if (first >= end) continue;
      mask.fill(place, y * width + first, y * width + end);
      left = Math.min(left, first);
      right = Math.max(right, end);
    }
  }
  if (left < right) touch(left, top, right, bottom);
  commit();
}

function cancelPolygon() {
  polygon = [];
  drawOver();
}

async function loadPrediction() {
  const run = runChoice?.value;
  if (!run) return false;
  if (predictionOf === run) return true;
  note("The run predicts the image.");
  let reason = "The server does not answer.";
  try {
    const answer = await fetch(`${address}/prediction/${run}`);
    if (answer.ok) {
      prediction = new Uint8Array(await answer.arrayBuffer());
      predictionOf = run;
      note("");
      return true;
    }
    ({ reason } = answer.status === 422 ? await answer.json() : { reason: `The server has answered with ${answer.status}.` });
  } catch { /* said below */ }
  note(reason);
  return false;
}

// Takes the prediction over: everywhere, or where the mask says nothing.
async function fillFrom(everywhere) {
  if (!(await loadPrediction()) || stroke) return;
  begin();
  for (let i = 0; i < mask.length; i++) {
    const meaning = meanings[mask[i]], place = paints.get(prediction[i]);
    if (prediction[i] === NOTHING || place === undefined || meaning === prediction[i]) continue;
    if (everywhere || meaning === IGNORED || meaning === UNKNOWN) mask[i] = place;
  }
  touch(0, 0, width, height);
  commit();
}

// Gives the chosen class to all pixels that nobody has labelled: what is left when the objects are drawn.
function fillRest() {
  const place = placeToPaint();
  if (!editable || !version || stroke || place === undefined) return;
  begin();
  for (let i = 0; i < mask.length; i++) {
    if (meanings[mask[i]] === IGNORED) mask[i] = place;
  }
  touch(0, 0, width, height);
  commit();
}

async function fillRegion(x, y) {
  if (!(await loadPrediction()) || stroke) return;
  const seen = prediction[y * width + x], place = paints.get(seen);
  if (seen !== NOTHING && place !== undefined) flood(x, y, (i) => prediction[i] === seen, place);
}

const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height;

// Uses the tool at a point, by mouse or keyboard; whether a line of the brush has begun.
function press(point) {
  const x = Math.floor(point.x), y = Math.floor(point.y);
  if (!editable || !version || stroke) return false;
  if (tool === "brush" || tool === "eraser") {
    const place = placeToPaint();
    if (place === undefined) return false;
    begin();
    stroke.place = place;
    paintLine(point, point, place);
    return true;
  }
  if (tool === "polygon") {
    polygon.push({ ...point });
    drawOver();
  } else if (inside(x, y) && tool === "flood" && placeToPaint() !== undefined) {
    flood(x, y, similar(x, y), placeToPaint());
  } else if (inside(x, y) && tool === "run") {
    fillRegion(x, y);
  }
  return false;
}

function pick() {
  const x = Math.floor(cursor.x), y = Math.floor(cursor.y);
  if (!layerLinks.length && inside(x, y) && paints.has(meanings[mask[y * width + x]])) choose(meanings[mask[y * width + x]]);
}

function choose(classId) {
  if (!paints.has(classId)) return;
  chosen = classId;
  for (const one of classButtons) one.setAttribute("aria-pressed", String(Number(one.dataset.class) === classId));
  if (tool === "eraser") use("brush");
}

function use(name) {
  if (!editable || (name === "run" && !runChoice)) return;
  if (name !== "polygon") cancelPolygon();
  tool = name;
  for (const one of toolButtons) one.setAttribute("aria-pressed", String(one.dataset.tool === name));
  drawRing();
}

// ---- The view ----

function fit() {
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  view = { scale, x: (stage.clientWidth - width * scale) / 2, y: (stage.clientHeight - height * scale) / 2 };
  fitted = true;
  place();
}

function place() {
  sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  sheet.classList.toggle("large", view.scale * devicePixelRatio >= 2);
  drawRing();
  drawOver();
}

function zoom(factor, x, y) {
  const scale = Math.min(64, Math.max(Math.min(1, 0.5 * stage.clientWidth / width), view.scale * factor));
  view = { scale, x: x - (x - view.x) * scale / view.scale, y: y - (y - view.y) * scale / view.scale };
  fitted = false;
  place();
}

function pointAt(event) {
  const box = stage.getBoundingClientRect();
  return { x: (event.clientX - box.left - stage.clientLeft - view.x) / view.scale, y: (event.clientY - box.top - stage.clientTop - view.y) / view.scale };
}

function drawRing() {
  const size = tool === "brush" || tool === "eraser" ? Math.max(1, 2 * radius()) : 1;
  ring.style.width = ring.style.height = `${Math.max(size * view.scale, 5)}px`;
  ring.style.transform = `translate(${view.x + cursor.x * view.scale}px, ${view.y + cursor.y * view.scale}px) translate(-50%, -50%)`;
  ring.classList.toggle("down", penDown);
}

function drawOver() {
  const ratio = devicePixelRatio;
  if (over.width !== Math.round(stage.clientWidth * ratio) || over.height !== Math.round(stage.clientHeight * ratio)) {
    over.width = Math.round(stage.clientWidth * ratio);
    over.height = Math.round(stage.clientHeight * ratio);
  }
  const context = over.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, over.width, over.height);
  if (!polygon.length) return;
  const points = [...polygon, cursor].map((one) => [view.x + one.x * view.scale, view.y + one.y * view.scale]);
  for (const [color, lineWidth] of [["#000", 4], ["#fff", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = lineWidth;
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    context.closePath();
    context.stroke();
  }
  context.fillStyle = "#fff";
  for (const [x, y] of points.slice(0, -1)) context.fillRect(x - 3, y - 3, 6, 6);
}

// ---- Mouse, pen and keyboard ----

stage.addEventListener("pointerdown", (event) => {
  stage.focus({ preventScroll: true });
  cursor = pointAt(event);
  if (event.button === 1 || (event.button === 0 && (spaceHeld || !editable))) {
    pan = { x: event.clientX - view.x, y: event.clientY - view.y };
  } else if (event.button === 0 && event.altKey) {
    pick();
  } else if (event.button === 0) {
    penDown = false;
    press(cursor);
  }
  stage.setPointerCapture(event.pointerId);
  event.preventDefault();
});

stage.addEventListener("pointermove", (event) => {
  if (pan) {
    view = { ...view, x: event.clientX - pan.x, y: event.clientY - pan.y };
    fitted = false;
    return place();
  }
  const events = event.getCoalescedEvents?.() ?? [];
  for (const one of events.length ? events : [event]) {
    const before = cursor;
    cursor = pointAt(one);
    if (stroke && !penDown) paintLine(before, cursor, stroke.place);
  }
  drawRing();
  if (polygon.length) drawOver();
});

const release = () => {
  pan = null;
  if (stroke && !penDown) commit();
};
stage.addEventListener("pointerup", release);
stage.addEventListener("pointercancel", release);
stage.addEventListener("dblclick", () => {
  if (tool === "polygon") fillPolygon();
});
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });

function moveBy(dx, dy) {
  const before = cursor;
  cursor = { x: Math.min(width - 0.5, Math.max(0.5, Math.floor(cursor.x) + 0.5 + dx)), y: Math.min(height - 0.5, Math.max(0.5, Math.floor(cursor.y) + 0.5 + dy)) };
  const x = view.x + cursor.x * view.scale, y = view.y + cursor.y * view.scale;
  view.x += Math.min(0, stage.clientWidth - 20 - x) + Math.max(0, 20 - x);
  view.y += Math.min(0, stage.clientHeight - 20 - y) + Math.max(0, 20 - y);
  if (stroke && penDown) paintLine(before, cursor, stroke.place);
  place();
}

function togglePen() {
  if (stroke && penDown) commit();
  penDown = !penDown && press(cursor);
  drawRing();
}

function resize(by) {
  if (!sizeSlider) return;
  const size = Number(sizeSlider.value);
  sizeSlider.value = String(by > 0 ? Math.max(size + 1, Math.round(size * 1.25)) : Math.min(size - 1, Math.round(size / 1.25)));
  sizeSlider.dispatchEvent(new Event("input"));
}

function nextClass(by) {
  if (layerLinks.length) {
    const at = layerLinks.findIndex((one) => one.ariaCurrent === "true");
    return leave(layerLinks[(at + by + layerLinks.length) % layerLinks.length]);
  }
  const ids = [...paints.keys()];
  choose(ids[(ids.indexOf(chosen) + by + ids.length) % ids.length]);
}

async function leave(link) {
  if (!link) return;
  if (stroke) commit();
  const since = performance.now();
  while (pending.length && !blocked && performance.now() - since < 3000) await new Promise((go) => setTimeout(go, 30));
  location.href = link.href; // with strokes that are not saved, the browser asks
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  b: () => use("brush"), e: () => use("eraser"), l: () => use("polygon"), f: () => use("flood"), r: () => use("run"),
  "[": () => resize(-1), "]": () => resize(1), ",": () => nextClass(-1), ".": () => nextClass(1), i: pick, x: togglePen,
  n: () => leave(document.querySelector("a[rel=next]")), p: () => leave(document.querySelector("a[rel=prev]")),
  o: () => others?.classList.toggle("hidden"), m: () => tilesOf.classList.toggle("hidden"), home: fit,
  "+": () => zoom(1.25, stage.clientWidth / 2, stage.clientHeight / 2), "=": () => KEYS["+"](), "-": () => zoom(0.8, stage.clientWidth / 2, stage.clientHeight / 2),
  c: fillPolygon, g: fillRest, escape: cancelPolygon,
  backspace: () => {
    polygon.pop();
    drawOver();
  },
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=range]), select, textarea");
  if (typing || event.altKey || !version) return;
  const key = event.key.toLowerCase(), onControl = event.target.closest("a, button, input, summary");
  if (event.ctrlKey || event.metaKey) {
    if (key === "z" || key === "y") {
      event.preventDefault();
      if (stroke && penDown) togglePen();
      if (key === "y" || event.shiftKey) redo();
      else undo();
    }
    return;
  }
  const digit = /^Digit(\d)$/.exec(event.code) ?? /^Numpad(\d)$/.exec(event.code);
  if (digit) {
    const place = (Number(digit[1]) + 9) % 10 + (event.shiftKey ? 10 : 0);
    if (layerLinks.length) leave(layerLinks[place]);
    else if (classButtons[place]) choose(Number(classButtons[place].dataset.class));
  } else if (key === " " && !onControl) {
    spaceHeld = true;
    stage.classList.add("panning");
  } else if (ARROWS[event.key] && !onControl) {
    const far = event.shiftKey ? 10 : 1;
    moveBy(ARROWS[event.key][0] * far, ARROWS[event.key][1] * far);
  } else if (key === "enter" && !onControl) {
    if (!penDown && press(cursor)) commit();
  } else if (KEYS[key] && !(onControl && ["home", "backspace"].includes(key))) {
    KEYS[key]();
  } else {
    return;
  }
  event.preventDefault();
});
document.addEventListener("keyup", (event) => {
  if (event.key === " ") {
    spaceHeld = false;
    stage.classList.remove("panning");
  }
});
addEventListener("blur", () => {
  spaceHeld = false;
  stage.classList.remove("panning");
});
addEventListener("beforeunload", (event) => {
  if (pending.length || stroke) event.preventDefault();
});

for (const one of classButtons) one.addEventListener("click", () => choose(Number(one.dataset.class)));
for (const one of toolButtons) one.addEventListener("click", () => use(one.dataset.tool));
for (const one of document.querySelectorAll("[data-do]")) {
  const acts = { undo, redo, fit, close: fillPolygon, rest: fillRest, "fill-rest": () => fillFrom(false), "fill-all": () => fillFrom(true) };
  one.addEventListener("click", () => acts[one.dataset.do]());
}
for (const one of [...document.querySelectorAll("a[rel=next], a[rel=prev]"), ...layerLinks]) {
  one.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    leave(one);
  });
}
for (const slider of [sizeSlider, opacitySlider, rangeSlider]) {
  const output = slider && document.querySelector(`output[for=${slider.id}]`);
  const kept = slider && sessionStorage.getItem(`fix-${slider.id}`);
  if (kept !== null && slider) slider.value = kept;
  const show = () => {
    output.textContent = slider.value;
    sessionStorage.setItem(`fix-${slider.id}`, slider.value);
    if (slider === opacitySlider) tilesOf.style.opacity = String(slider.value / 100);
    drawRing();
  };
  slider?.addEventListener("input", show);
  if (slider) show();
}
discard?.addEventListener("click", () => {
  pending = [];
  blocked = "";
  reload();
});
new ResizeObserver(() => (fitted && width ? fit() : place())).observe(stage);

async function start() {
  take(await download());
  settled = mask.slice();
  await loadPhoto();
  if (others) {
    others.width = width;
    others.height = height;
    others.src = `${address}/others?${layer}`;
  }
  makeTiles();
  draw(0, 0, width, height);
  for (const one of classButtons) {
    const classId = Number(one.dataset.class);
    one.disabled = !editable || !paints.has(classId);
    if (editable && one.disabled) one.title = "This mask file cannot store this class.";
  }
  cursor = { x: Math.floor(width / 2) + 0.5, y: Math.floor(height / 2) + 0.5 };
  fit();
  choose([...paints.keys()].find((one) => one !== eraserClass) ?? 0);
  use("brush");
  tell();
  stage.focus({ preventScroll: true });
  fix.dataset.ready = "1";
}
start().catch((error) => note(error.message));
