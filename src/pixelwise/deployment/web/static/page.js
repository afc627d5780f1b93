// The page: takes photos, passes them to the worker, shows their masks. `PIXELWISE` is what description.js holds.
"use strict";

const WORKER = ["images.js", "resizing.js", "worker.js"];
const { model, about, files } = PIXELWISE;
const find = (id) => document.getElementById(id);
let worker, waiting = null, shown = null, number = 0;

/** The content of a file of this folder. Pages from `file:` may load only scripts, which hold the same content. */
async function content(name) {
  if (location.protocol !== "file:") {
    const answer = await fetch(name);
    if (!answer.ok) throw new Error(`${name} cannot be loaded: the server answered ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  }
  await new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: `${name}.js`, onload: resolve });
    script.onerror = () => reject(new Error(`${name}.js is not beside this page: copy the whole folder`));
    document.head.append(script);
  });
  const packed = await decoded(PIXELWISE.contents[name]);
  delete PIXELWISE.contents[name];
  return packed;
}

async function decoded(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Refuse a file of another export, for example from a cache. Without a secure origin there is nothing to compare with. */
async function checked(name) {
  const bytes = await content(name);
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const found = [...digest].map((value) => value.toString(16).padStart(2, "0")).join("");
    if (found !== files[name]) throw new Error(`${name} is damaged or of another export: copy the folder again`);
  }
  return bytes;
}

let parts = null;

async function start() {
  parts ??= await Promise.all([...WORKER, PIXELWISE.script, PIXELWISE.wasm, PIXELWISE.network].map(checked));
  const [script, wasm, network] = parts.slice(WORKER.length);
  worker = new Worker(URL.createObjectURL(new Blob(parts.slice(0, WORKER.length), { type: "text/javascript" })));
  const opened = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.opened ? resolve() : reject(new Error(data.problem)));
    worker.onerror = (event) => reject(new Error(event.message || "the worker cannot be started"));
  });
  worker.postMessage({ open: { model, script, wasm, network } });
  await opened;
  worker.onmessage = ({ data }) => settle(data);
  worker.onerror = (event) => settle({ id: waiting?.id, problem: event.message || "the worker ended" });
}

let ready = start();
ready.then(() => say("Ready."), (error) => say(error.message, true));

function say(text, problem = false) {
  find("status").textContent = text;
  find("status").classList.toggle("problem", problem);
}

/** Segment a photo; a newer one takes the place of one that has not been answered. */
async function take(file) {
  if (!file) return;
  const id = ++number;
  say(`Segmenting ${file.name || "the photo"} …`);
  find("result").inert = true; // it is of the photo before
  if (waiting) restart();
  waiting = { id, name: (file.name || "photo").replace(/\.[^.]*$/, "") };
  try {
    await ready;
  } catch (error) {
    if (id === number) say(error.message, true);
    return;
  }
  if (id === number) worker.postMessage({ id, file });
}

function restart() {
  worker?.terminate();
  waiting = null;
  ready = ready.then(start, start);
}

function settle({ id, result, problem }) {
  if (!waiting || id !== waiting.id) return;
  const { name } = waiting;
  waiting = null;
  if (problem) {
    say(problem, true);
    find("result").hidden = true;
    // A network that ran out of memory cannot go on.
    restart();
    return;
  }
  show(name, result);
}

function show(name, result) {
  const { width, height, pixels } = result.shown;
  if (shown) URL.revokeObjectURL(shown.address);
  shown = { ...result, hidden: new Set(), address: URL.createObjectURL(result.mask) };
  for (const canvas of [find("photo"), find("mask")]) Object.assign(canvas, { width, height });
  find("photo").getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  find("photo").setAttribute("aria-label", `Photo ${name}`);
  Object.assign(find("download"), { href: shown.address, download: `${name}.png` });
  find("facts").textContent = factsOf(result);
  legend(result);
  paint();
  Object.assign(find("result"), { hidden: false, inert: false });
  const { read, network } = result.milliseconds;
  say(`${name}: ${Math.round(read + network)} ms (reading ${Math.round(read)} ms, network and mask ${Math.round(network)} ms).`);
}

function factsOf({ width, height, seen, windows }) {
  const size = (sides) => `${sides[0]} × ${sides[1]}`, same = seen[0] === width && seen[1] === height;
  const how = same ? "the network sees it at this size" : `the network sees it at ${size(seen)}`;
  return `${size([width, height])} pixels; ${how}${windows > 1 ? `, through ${windows} windows that overlap` : ""}.`;
}

function legend({ counts, width, height }) {
  const rows = counts.map((pixels, id) => ({ id, pixels })).filter(({ pixels }) => pixels > 0);
  rows.sort((a, b) => b.pixels - a.pixels);
  find("legend").replaceChildren(...rows.map(({ id, pixels }) => {
    const row = document.createElement("tr"), box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    box.setAttribute("aria-label", `Show ${model.classes[id]}`);
    box.addEventListener("change", () => {
      shown.hidden[box.checked ? "delete" : "add"](id);
      paint();
    });
    swatch.style.backgroundColor = `rgb(${model.palette[id].join(" ")})`;
    const share = (100 * pixels) / (width * height);
    for (const part of [[box], [swatch, model.classes[id]], [share < 0.1 ? "< 0.1 %" : `${share.toFixed(1)} %`]]) {
      const cell = document.createElement("td");
      cell.append(...part);
      row.append(cell);
    }
    return row;
  }));
}

function paint() {
  const { ids, width, height } = shown.shown, colours = new ImageData(width, height);
  const words = new Uint32Array(colours.data.buffer), ofClass = new Uint32Array(256);
  model.palette.forEach(([red, green, blue], id) => {
    if (!shown.hidden.has(id)) new Uint8Array(ofClass.buffer).set([red, green, blue, 255], 4 * id);
  });
  for (let at = 0; at < ids.length; at++) words[at] = ofClass[ids[at]];
  find("mask").getContext("2d").putImageData(colours, 0, 0);
  find("mask").style.opacity = find("opacity").value / 100;
}

find("title").textContent = document.title = PIXELWISE.title;
find("about").append(...about.flatMap(([name, text]) => [
  Object.assign(document.createElement("dt"), { textContent: name }),
  Object.assign(document.createElement("dd"), { textContent: text }),
]));
find("opacity").addEventListener("input", () => { find("mask").style.opacity = find("opacity").value / 100; });
find("file").addEventListener("change", ({ target }) => { take(target.files[0]); target.value = ""; });
addEventListener("paste", ({ clipboardData }) => take([...clipboardData.files].find(({ type }) => type.startsWith("image/"))));
addEventListener("dragover", (event) => { event.preventDefault(); find("drop").classList.add("over"); });
addEventListener("dragleave", (event) => { if (event.relatedTarget === null) find("drop").classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
