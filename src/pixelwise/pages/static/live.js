"use strict";
// A run while it is trained: what the server sends replaces parts of the page and extends the curves.
const live = document.getElementById("live");
const POINTS_WITH_DOTS = 40;
const WHOLE = [1, 2, 5].flatMap((one) => [...Array(12).keys()].map((power) => one * 10 ** power)).sort((a, b) => a - b);
const LEAST_SECONDS_BETWEEN_WORDS = 20;

const curvesNow = { steps: { size: 1, points: [] }, evaluations: { size: 1, points: [] }, paces: { size: 1, points: [] } };
let classesNow = [];

const smoothedLine = (values) => {
  const half = Math.max(1, Math.floor(values.length / 40));
  const sums = [0], counts = [0];
  values.forEach((value, index) => {
    sums.push(sums[index] + (value ?? 0));
    counts.push(counts[index] + (value === null ? 0 : 1));
  });
  return values.map((_, index) => {
    const start = Math.max(0, index - half), end = Math.min(values.length, index + half + 1);
    const number = counts[end] - counts[start];
    return number ? (sums[end] - sums[start]) / number : null;
  });
};

// The charts: what of the points they show. One without any value is left out.
const chartsNow = () => {
  const { steps, evaluations, paces } = curvesNow;
  const column = (curve, number) => curve.points.map((point) => point[number] ?? null);
  const loss = column(steps, 1);
  const names = (evaluations.points[0] || []).slice(2).map((_, index) => (classesNow[index] ? classesNow[index][0] : `class ${index}`));
  const charts = [
    { title: "Training loss", steps: column(steps, 0), names: ["loss", "smoothed"], values: [loss, smoothedLine(loss)] },
    { title: "mIoU, %", steps: column(evaluations, 0), names: ["mIoU"], values: [column(evaluations, 1)] },
    { title: "IoU of each class, %", steps: column(evaluations, 0), names, values: names.map((_, index) => column(evaluations, index + 2)) },
    { title: "Images per second", steps: column(paces, 0), names: ["images per second"], values: [column(paces, 1)] },
    { title: "Learning rate", steps: column(steps, 0), names: ["learning rate"], values: [column(steps, 2)] },
    { title: "Norm of the gradient", steps: column(steps, 0), names: ["norm"], values: [column(steps, 3)] },
  ];
  return charts.filter((chart) => chart.values.some((values) => values.some((value) => value !== null)));
};

function following() {
  const place = document.getElementById("live-plots");
  const shown = new Map(); // title -> the chart, its place, and what it was made for
  let source = null, last = "", state = "", wordsAt = -Infinity, wordsDue = null, stateSaid = "", again = null;
  const paused = document.getElementById("pause");
  const connection = document.getElementById("connection");

  const drop = (title) => {
    if (shown.get(title).plot) shown.get(title).plot.destroy();
    shown.get(title).figure.remove();
    shown.delete(title);
  };

  const draw = (anew) => {
    const style = getComputedStyle(document.documentElement);
    const charts = chartsNow();
    for (const title of [...shown.keys()]) if (anew || !charts.some((chart) => chart.title === title)) drop(title);
    const keyOf = (chart) => JSON.stringify([chart.names, chart.steps.length < POINTS_WITH_DOTS]);
    for (const chart of charts) if (shown.has(chart.title) && shown.get(chart.title).key !== keyOf(chart)) drop(chart.title);
    // All frames first, because their number decides on their width.
    charts.forEach((chart, index) => {
      if (shown.has(chart.title)) return;
      const figure = document.createElement("div");
      const title = document.createElement("h3");
      title.textContent = chart.title;
      figure.append(title);
      place.insertBefore(figure, place.children[index] || null);
      shown.set(chart.title, { plot: null, figure, key: keyOf(chart) });
    });
    for (const chart of charts) {
      const one = shown.get(chart.title), data = [chart.steps, ...chart.values];
      if (one.plot === null) {
        const options = drawn(chart, one.figure.clientWidth, style);
        options.axes[0] = { ...options.axes[0], incrs: WHOLE };
        one.plot = new uPlot(options, data, one.figure);
        continue;
      }
      const { plot } = one, all = plot.data[0], { min, max } = plot.scales.x;
      const zoomed = all.length > 1 && (min > all[0] || max < all[all.length - 1]);
      plot.setData(data, !zoomed);
      if (zoomed) plot.setScale("x", { min, max });
      if (plot.width !== one.figure.clientWidth) plot.setSize({ width: one.figure.clientWidth, height: plot.height });
    }
    const { steps, evaluations } = curvesNow, said = [];
    if (!charts.length) said.push("The first curve appears with the first steps.");
    if (steps.size > 1) said.push(`Each point of loss, learning rate and gradient is the mean of ${steps.size} consecutive steps, the last one of those so far.`);
    if (evaluations.size > 1) said.push(`Of the evaluations every ${evaluations.size}th is drawn, and the last.`);
    document.getElementById("thinned").textContent = said.join(" ");
  };

  const say = (text, state) => {
    // Often enough to follow, rarely enough to be listened to; the latest words count, and another state at once.
    clearTimeout(wordsDue);
    const wait = state !== stateSaid ? 0 : Math.max(0, wordsAt + LEAST_SECONDS_BETWEEN_WORDS * 1000 - performance.now());
    stateSaid = state;
    wordsDue = setTimeout(() => {
      wordsAt = performance.now();
      document.getElementById("said").textContent = text;
    }, wait);
  };

  // The predictions over time.
  const slider = document.getElementById("moment");
  let moments = [];
  const showMoment = () => {
    const moment = moments[Number(slider.value)];
    if (!moment) return;
    const text = `step ${moment.step}`;
    document.getElementById("moment-value").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    document.querySelectorAll(".predicted").forEach((picture, index) => {
      const address = live.dataset.pictures + encodeURIComponent(moment.layers[index]);
      if (picture.getAttribute("src") !== address) picture.src = address;
    });
  };
  const showPictures = (pictures) => {
    if (!slider) {
      if (pictures.moments.length) location.reload(); // the first ones: their frames are made by the server
      return;
    }
    const atEnd = slider.value === slider.max;
    moments = pictures.moments;
    slider.max = Math.max(0, moments.length - 1);
    if (atEnd) slider.value = slider.max;
    showMoment();
  };
  if (slider) slider.addEventListener("input", showMoment);

  const take = (event) => {
    last = event.lastEventId;
    const news = JSON.parse(event.data);
    classesNow = news.classes;
    for (const name of Object.keys(curvesNow)) {
      const curve = curvesNow[name], part = news[name];
      curve.size = part.size;
      curve.points.length = Math.min(curve.points.length, part.from);
      curve.points.push(...part.points);
    }
    for (const [name, content] of Object.entries(news.fragments)) document.getElementById(name).innerHTML = content;
    if (news.said) say(news.said, news.state);
    if (news.pictures) showPictures(news.pictures);
    state = news.state;
    told();
    document.title = document.title.replace(/^(\S+ · )?/, news.state === "running" ? "" : `${news.state} · `);
    draw(false);
  };

  const close = () => {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  };
  const tell = (text) => { if (connection.textContent !== text) connection.textContent = text; };
  const told = () => tell(state === "running" || !state ? "Follows the training." : "Shows what is new as soon as the training goes on.");
  const open = () => {
    close();
    source = new EventSource(live.dataset.events + (last ? `?after=${encodeURIComponent(last)}` : ""));
    source.onopen = told;
    source.onmessage = take;
    source.onerror = () => {
      tell("Not connected: this is the last state that was received. Trying again.");
      if (source && source.readyState === EventSource.CLOSED) again = setTimeout(open, 10000);
    };
  };
  const wanted = () => paused.getAttribute("aria-pressed") === "false";
  paused.addEventListener("click", () => {
    paused.setAttribute("aria-pressed", String(wanted()));
    if (wanted()) open();
    else {
      close();
      tell("Paused: this is the state at the moment of the pause.");
    }
  });
  // A page that nobody sees needs no connection, of which a browser has only few to one server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (wanted()) open();
  });
  addEventListener("pagehide", close);

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
  let width = place.clientWidth;
  addEventListener("resize", () => {
    if (place.clientWidth !== width) {
      width = place.clientWidth;
      draw(true);
    }
  });
  open();
}
// After `pages.js`, which draws.
if (live) document.addEventListener("DOMContentLoaded", following);
