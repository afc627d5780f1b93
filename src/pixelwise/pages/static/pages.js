"use strict";
document.documentElement.classList.add("scripted");

// Links with a key, such as the arrow to the next image.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea, [role=slider]")) return;
  const link = document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
  if (link) link.click();
});

// Arrow keys move between the cells of the confusion matrix that lead somewhere.
const matrix = document.getElementById("matrix");
if (matrix) {
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  matrix.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    let cell = event.target.closest("td");
    if (!move || !cell) return;
    event.preventDefault();
    const rows = [...matrix.tBodies[0].rows];
    let row = rows.indexOf(cell.parentElement), column = cell.cellIndex;
    do {
      row += move[0];
      column += move[1];
      cell = rows[row] && column > 0 ? rows[row].cells[column] : null;
    } while (cell && !cell.querySelector("a"));
    if (cell) cell.querySelector("a").focus();
  });
}

// Learning curves.
const plots = document.getElementById("plots");
const COLORS = ["#0b8a8a", "#dd7a26", "#7b5cc4", "#c43c6b", "#5b8f2a", "#2b83de", "#a3761a", "#7f8790", "#d65fc0", "#3aa68f", "#b5482e"];

const short = (value) => (value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(1) : String(Number(value.toPrecision(6))));

function drawn(curve, width, style) {
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const lines = curve.names.map((name, index) => {
    const faint = name === "loss" && curve.names.length > 1;
    const stroke = curve.names.length > 2 ? COLORS[index % COLORS.length] : faint ? color("--faint") : color("--accent");
    return { label: name, stroke, width: faint ? 1 : 2, dash: index >= COLORS.length ? [6, 4] : undefined, spanGaps: true, points: { show: curve.steps.length < 40, size: 5 } };
  });
  return {
    width, height: Math.round(Math.min(300, Math.max(200, width * 0.55))),
    scales: { x: { time: false } },
    axes: [axis, { ...axis, size: 56, values: (_, ticks) => ticks.map(short) }],
    series: [{ label: "step" }, ...lines],
  };
}

async function showCurves() {
  const answer = await fetch(plots.dataset.curves);
  if (!answer.ok) return;
  const curves = await answer.json();
  let shown = [];
  const draw = () => {
    shown.forEach((one) => one.destroy());
    const style = getComputedStyle(document.documentElement);
    shown = curves.map((curve, index) => {
      const place = plots.children[index];
      return new uPlot(drawn(curve, place.clientWidth, style), [curve.steps, ...curve.values], place);
    });
  };
  for (const curve of curves) {
    const place = document.createElement("div");
    const title = document.createElement("h3");
    title.textContent = curve.title;
    place.append(title);
    plots.append(place);
  }
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = plots.clientWidth;
  addEventListener("resize", () => {
    if (plots.clientWidth !== width) {
      width = plots.clientWidth;
      draw();
    }
  });
}
if (plots) showCurves();

// The divider between two predictions.
for (const swipe of document.querySelectorAll(".swipe")) {
  const slider = swipe.querySelector("input");
  const move = () => swipe.style.setProperty("--at", `${slider.value}%`);
  slider.addEventListener("input", move);
  move();
}
const showTruth = (event, shown) => {
  if (event.key.toLowerCase() === "t" && !event.ctrlKey && !event.metaKey && !event.target.closest("input:not([type=range]), textarea, select")) {
    document.documentElement.classList.toggle("show-truth", shown);
  }
};
document.addEventListener("keydown", (event) => showTruth(event, true));
document.addEventListener("keyup", (event) => showTruth(event, false));
