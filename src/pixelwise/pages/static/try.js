"use strict";

// The page /try: sends a photo to the models that are chosen, and draws their masks over it.
const form = document.getElementById("try"), tried = document.getElementById("tried");
let photo = null, round = 0;

const made = (name, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};

/** Draw the run lengths of each class, which go down the columns one after the other. */
function maskOf({ width, height, classes }) {
  const canvas = made("canvas", { width, height, className: "try-mask" });
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  for (const { color, rle } of classes) {
    const parts = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    const word = new Uint32Array(new Uint8Array([...parts, 255]).buffer)[0];
    let place = 0;
    rle.counts.forEach((count, index) => {
      if (index % 2) for (let at = place; at < place + count; at++) words[(at % height) * width + Math.floor(at / height)] = word;
      place += count;
    });
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

function legendOf({ width, height, classes }) {
  const rows = [...classes].sort((a, b) => b.pixels - a.pixels).map(({ name, color, pixels }) => {
    const swatch = made("span", { className: "try-swatch" });
    swatch.style.backgroundColor = color;
    const share = (100 * pixels) / (width * height);
    return made("tr", {}, made("td", {}, swatch, name), made("td", { className: "number" }, share < 0.1 ? "< 0.1 %" : `${share.toFixed(1)} %`));
  });
  const head = made("tr", {}, made("th", { scope: "col" }, "Class"), made("th", { scope: "col", className: "number" }, "Share"));
  return made("table", {}, made("thead", {}, head), made("tbody", {}, ...rows));
}

async function ask(id, name, file, bitmap) {
  const title = made("h2", {}, name), told = made("p", { className: "soft" }, "Predicting …");
  const place = made("article", {}, title, told);
  tried.append(place);
  try {
    const answer = await fetch(`/try/${encodeURIComponent(id)}`, { method: "POST", body: file });
    const found = await answer.json();
    if (!answer.ok) {
      told.textContent = `${found.code}: ${found.detail}. ${found.help}`;
      told.className = "problem";
      return;
    }
    const { width, height } = found, mask = maskOf(found);
    const picture = made("canvas", { width, height });
    if (bitmap) picture.getContext("2d").drawImage(bitmap, 0, 0, width, height);
    mask.setAttribute("role", "img");
    mask.setAttribute("aria-label", `Mask of ${name}; the table has the share of each class`);
    told.textContent = `${answer.headers.get("pixelwise-milliseconds")} ms · ${width} × ${height} pixels${bitmap ? "" : " · this browser cannot show the photo itself"}`;
    place.append(made("div", { className: "try-stage" }, picture, mask), legendOf(found));
    fade();
  } catch {
    told.textContent = "The server does not answer. Is `pixelwise ui` still running?";
    told.className = "problem";
  }
}

/** One model after the other, so that their times can be compared. */
async function predict() {
  if (!photo) return;
  const mine = ++round, bitmap = await createImageBitmap(photo).catch(() => null);
  if (mine !== round) return;
  tried.replaceChildren();
  const chosen = [...form.querySelectorAll("select")].map(({ value, selectedOptions }) => [value, selectedOptions[0].textContent]);
  const ids = new Map(chosen.filter(([id]) => id));
  for (const [id, name] of ids) {
    if (mine !== round) return;
    await ask(id, name, photo, bitmap);
  }
}

const fade = () => tried.querySelectorAll(".try-mask").forEach((mask) => { mask.style.opacity = form.elements.opacity.value / 100; });

if (form) {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.opacity.addEventListener("input", fade);
  form.elements.photo.addEventListener("change", ({ target }) => { photo = target.files[0]; predict(); });
  form.querySelectorAll("select").forEach((select) => select.addEventListener("change", predict));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) { photo = event.dataTransfer.files[0]; predict(); }
  });
}
