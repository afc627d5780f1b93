// A large image and its labels in tiles: at full size, at a half, at a quarter and so on, each drawn when it is there.
const deep = document.getElementById("deep");
const stage = deep.querySelector(".deep-stage"), [photoCanvas, ...labelCanvases] = stage.querySelectorAll("canvas");
const frame = stage.parentElement, divider = frame.querySelector(".deep-divider");
const opacity = deep.querySelector("input[type=range]"), statusLine = deep.querySelector(".deep-where");
const choices = [...deep.querySelectorAll("input[type=radio]")], progress = deep.querySelector(".deep-progress");
const SIDE = 512, MOST_KEPT = 192, MOST_ASKED = 4, CLOSEST = 32, TRIES = 3, WAIT = 2000;
const width = Number(deep.dataset.width), height = Number(deep.dataset.height), coarsest = Number(deep.dataset.halvings);
const { stamp } = deep.dataset;
const layers = [{ name: "photo", base: deep.dataset.photo, stamp, canvas: photoCanvas }];
if (deep.dataset.labels) layers.push({ name: "labels", base: deep.dataset.labels, stamp, canvas: labelCanvases[0] });
const box = deep.dataset.box ? deep.dataset.box.split("-").map(Number) : null;

const tiles = new Map(); // address -> { image, state: "asked" | "there" | "lost", used, again }
let view = { x: 0, y: 0, scale: 1 }; // place of the image's corner in the stage, in CSS pixels, and their number per pixel
let fitted = true, planned = false, clock = 0, asked = 0, wanted = [], telling = 0;

// ---- Tiles ----

function tile(layer, halvings, row, column) {
  const address = `${layer.base}${halvings}-${row}-${column}?v=${layer.stamp}`;
  const known = tiles.get(address);
  if (known && !(known.state === "lost" && performance.now() > known.again)) {
    known.used = clock;
    return known;
  }
  wanted.push(address);
  return null;
}

// Asks for what is wanted now, a few at once; what is not asked for yet when the view moves on is never asked for.
function askFor() {
  while (asked < MOST_ASKED && wanted.length) {
    const address = wanted.shift();
    const before = tiles.get(address);
    if (before && before.state !== "lost") continue;
    const one = { image: new Image(), state: "asked", used: clock, tries: (before?.tries ?? 0) + 1 };
    tiles.set(address, one);
    asked++;
    const ended = (state) => {
      one.state = state;
      asked--;
      // A server that was busy, or out of memory, may answer later.
      if (state === "lost") one.again = one.tries < TRIES ? performance.now() + WAIT : Infinity;
      if (state === "lost" && one.tries < TRIES) setTimeout(plan, WAIT + 50);
      plan();
    };
    one.image.src = address;
    one.image.decode().then(() => ended("there"), () => ended("lost"));
  }
  if (tiles.size <= MOST_KEPT) return;
  const old = [...tiles].filter(([, one]) => one.state !== "asked" && one.used < clock).sort((a, b) => a[1].used - b[1].used);
  for (const [address] of old.slice(0, tiles.size - MOST_KEPT)) tiles.delete(address);
}

// ---- Drawing ----

function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(draw);
}

function draw() {
  planned = false;
  clock++;
  wanted = [];
  const ratio = devicePixelRatio;
  const fine = Math.min(coarsest, Math.max(0, Math.floor(Math.log2(1 / (view.scale * ratio)) + 0.001)));
  for (const layer of layers) {
    const { canvas } = layer, across = Math.round(stage.clientWidth * ratio), down = Math.round(stage.clientHeight * ratio);
    if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, across, down);
    if (!layer.stamp) continue; // it is not there yet
    context.imageSmoothingEnabled = layer.name === "photo" && view.scale * ratio < 2;
    // The coarsest tile first, which covers everything until finer ones are there.
    const levels = fine === coarsest ? [fine] : [coarsest, Math.min(coarsest, fine + 1), fine];
    for (const halvings of new Set(levels)) drawLevel(layer, context, halvings, ratio, halvings === fine || halvings === coarsest);
    if (layer.name === "photo" && box) drawBox(context, ratio);
  }
  askFor();
  tell(fine);
  for (const side of chosen ? sidesOf.get(chosen) : []) if (side.waits && fine < side.enough) waitFor(side.waits, side.title);
}

// ---- One of several layers over the photo, or that of one result left of a divider and that of another right of it ----

let chosen = null;
const told = new Map(); // address of a prediction that is waited for -> what is said of it
const sidesOf = new Map(choices.map((choice) => {
  const sides = ["left", "right"].map((at) => {
    const [base, stamp, waits, enough, title] = ["Base", "Stamp", "Waits", "Enough", "Title"].map((one) => choice.dataset[at + one]);
    return { base, stamp, waits, enough: Number(enough), title: title ? `${title}: ` : "" };
  });
  return [choice, sides.filter((side) => side.base)];
}));

function choose(choice) {
  chosen = choice;
  choice.checked = true;
  const sides = sidesOf.get(choice);
  layers.splice(1, layers.length, ...sides.map(({ base, stamp }, place) => ({ name: "labels", base, stamp, canvas: labelCanvases[place] })));
  frame.classList.toggle("divided", sides.length > 1);
  plan();
}

function say(address, text) {
  told.set(address, text);
  progress.textContent = [...told.values()].filter(Boolean).join("; ");
}

// A prediction at full size is made while somebody asks for it. Until it is there, a reduced one is shown.
async function waitFor(address, title) {
  if (told.has(address)) return;
  told.set(address, "");
  for (;;) {
    const answer = await fetch(address).then((one) => (one.ok ? one.json() : { reason: "It cannot be predicted." }), () => null);
    if (answer?.stamp || answer?.reason) {
      say(address, answer.reason ? `${title}Not at full size: ${answer.reason}` : "");
      for (const side of [...sidesOf.values()].flat().filter((side) => side.waits === address)) {
        side.waits = "";
        side.stamp = answer.stamp || side.stamp;
      }
      choose(chosen);
      return;
    }
    say(address, answer ? `${title}Predicting at full size: ${Math.floor(100 * answer.done)} %` : "The server does not answer.");
    await new Promise((done) => { setTimeout(done, 1000); });
  }
}
for (const one of choices) {
  one.addEventListener("change", () => choose(one));
  if (one.checked) choose(one);
}

function drawLevel(layer, context, halvings, ratio, asks) {
  const side = SIDE * 2 ** halvings, scale = view.scale * ratio;
  const left = Math.max(0, Math.floor(-view.x / view.scale / side)), top = Math.max(0, Math.floor(-view.y / view.scale / side));
  const right = Math.min(Math.ceil(width / side), Math.ceil((stage.clientWidth - view.x) / view.scale / side));
  const bottom = Math.min(Math.ceil(height / side), Math.ceil((stage.clientHeight - view.y) / view.scale / side));
  const before = wanted.length, middle = [(top + bottom - 1) / 2, (left + right - 1) / 2], far = [];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const one = tile(layer, halvings, row, column);
      if (!one) far.push(Math.hypot(row - middle[0], column - middle[1]));
      if (one?.state !== "there") continue;
      const x0 = Math.round(view.x * ratio + column * side * scale), y0 = Math.round(view.y * ratio + row * side * scale);
      const x1 = Math.round(view.x * ratio + Math.min(width, (column + 1) * side) * scale);
      const y1 = Math.round(view.y * ratio + Math.min(height, (row + 1) * side) * scale);
      context.clearRect(x0, y0, x1 - x0, y1 - y0); // labels are transparent: a coarser tile would be seen through them
      context.drawImage(one.image, x0, y0, x1 - x0, y1 - y0);
    }
  }
  // What lies in the middle is asked for first.
  const missing = wanted.splice(before).map((address, place) => [far[place], address]).sort((a, b) => a[0] - b[0]);
  if (asks) wanted.push(...missing.map(([, address]) => address));
}

function drawBox(context, ratio) {
  const [left, top, across, down, whole, tall] = box, sx = width / whole * view.scale * ratio, sy = height / tall * view.scale * ratio;
  for (const [color, line] of [["#000", 5], ["#ffe14d", 2.5]]) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.strokeRect(view.x * ratio + left * sx, view.y * ratio + top * sy, across * sx, down * sy);
  }
}

function tell(fine) {
  clearTimeout(telling); // screen readers hear where a movement ends
  telling = setTimeout(() => {
    const x = Math.round((stage.clientWidth / 2 - view.x) / view.scale), y = Math.round((stage.clientHeight / 2 - view.y) / view.scale);
    const percent = view.scale * 100, lost = [...tiles.values()].filter((one) => one.used === clock && one.again === Infinity).length;
    statusLine.textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %, row ${y}, column ${x}${lost ? `; parts that cannot be read: ${lost}` : ""}`;
    deep.dataset.shown = `${fine} ${wanted.length + asked}`;
  }, wanted.length || asked ? 400 : 150);
}

// ---- The view ----

const smallest = () => Math.min(1, stage.clientWidth / width, stage.clientHeight / height);

// Something of the image stays in the stage.
function show(next) {
  const scale = Math.min(CLOSEST, Math.max(smallest() / 2, next.scale)), keep = 40;
  view = {
    scale,
    x: Math.min(stage.clientWidth - keep, Math.max(keep - width * scale, next.x)),
    y: Math.min(stage.clientHeight - keep, Math.max(keep - height * scale, next.y)),
  };
  plan();
}

function whole() {
  const scale = smallest();
  show({ scale, x: (stage.clientWidth - width * scale) / 2, y: (stage.clientHeight - height * scale) / 2 });
  fitted = true;
}

function moveBy(x, y) {
  fitted = false;
  show({ ...view, x: view.x + x, y: view.y + y });
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(CLOSEST, Math.max(smallest() / 2, view.scale * factor)), grown = scale / view.scale;
  fitted = false;
  show({ scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown });
}

function showBox() {
  const [left, top, across, down, imageWidth, imageHeight] = box, sx = width / imageWidth, sy = height / imageHeight;
  const scale = Math.min(1, 0.5 * stage.clientWidth / (across * sx), 0.5 * stage.clientHeight / (down * sy));
  fitted = false;
  show({ scale, x: stage.clientWidth / 2 - (left + across / 2) * sx * scale, y: stage.clientHeight / 2 - (top + down / 2) * sy * scale });
}

// ---- Mouse, fingers and keyboard ----

const fingers = new Map();
const inStage = (event) => {
  const frame = stage.getBoundingClientRect();
  return { x: event.clientX - frame.left, y: event.clientY - frame.top };
};

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  stage.focus({ preventScroll: true });
  stage.setPointerCapture(event.pointerId);
  stage.classList.add("moving");
  fingers.set(event.pointerId, inStage(event));
  event.preventDefault();
});
stage.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = inStage(event), other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
  fingers.set(event.pointerId, now);
  if (other) {
    const apart = (one) => Math.max(10, Math.hypot(one.x - other.x, one.y - other.y));
    zoom(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    moveBy((now.x - before.x) / 2, (now.y - before.y) / 2);
  } else {
    moveBy(now.x - before.x, now.y - before.y);
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => {
    fingers.delete(event.pointerId);
    if (!fingers.size) stage.classList.remove("moving");
  });
}
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const { x, y } = inStage(event);
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), x, y);
}, { passive: false });
stage.addEventListener("dblclick", (event) => zoom(2, inStage(event).x, inStage(event).y));

function toggleLabels() {
  if (!opacity) return;
  if (opacity.value !== "0") opacity.dataset.before = opacity.value;
  opacity.value = opacity.value === "0" ? opacity.dataset.before || "65" : "0";
  opacity.dispatchEvent(new Event("input"));
}

const STEPS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const acts = { closer: () => zoom(1.5), away: () => zoom(1 / 1.5), whole, full: () => zoom(1 / (view.scale * devicePixelRatio)) };
const KEYS = { "+": acts.closer, "=": acts.closer, "-": acts.away, Home: whole, 0: whole, 1: acts.full, m: toggleLabels, M: toggleLabels };
for (const one of choices) KEYS[one.value[0]] = KEYS[one.value[0].toUpperCase()] = () => choose(one);
stage.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (STEPS[event.key]) {
    const far = event.shiftKey ? 400 : 80;
    moveBy(STEPS[event.key][0] * far, STEPS[event.key][1] * far);
  } else if (KEYS[event.key]) {
    KEYS[event.key]();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation(); // elsewhere on the page, arrow keys lead to other images
});
// The divider stays where it is while the image moves below it.
if (divider) {
  let at = 50;
  const divide = (percent) => {
    at = Math.min(100, Math.max(0, percent));
    frame.style.setProperty("--at", `${at}%`);
    divider.setAttribute("aria-valuenow", String(Math.round(at)));
  };
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
  divider.addEventListener("keydown", (event) => {
    if (!steps[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
    divide(at + steps[event.key] * (event.shiftKey ? 10 : 1));
    event.preventDefault();
  });
  divider.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    divider.focus({ preventScroll: true });
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) divide(100 * inStage(event).x / stage.clientWidth);
  });
  KEYS[","] = () => divide(at - 2);
  KEYS["."] = () => divide(at + 2);
  divide(at);
}
for (const one of deep.querySelectorAll("[data-do]")) one.addEventListener("click", () => acts[one.dataset.do]());
if (opacity) {
  const show = () => {
    for (const one of labelCanvases) one.style.opacity = String(opacity.value / 100);
  };
  opacity.addEventListener("input", show);
  show();
}

deep.hidden = false;
new ResizeObserver(() => (fitted ? whole() : plan())).observe(stage);
if (box) showBox();
else whole();
