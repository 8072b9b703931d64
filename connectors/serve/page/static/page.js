// The overview's live parts: numbers, charts and the list of newest events, by server-sent events.
// Without this script the page shows what it was rendered with; search and customers need none of it.
"use strict";
(() => {
  const WINDOW_SECONDS = 300;
  // Single seconds jump; a chart shows the mean of so many.
  const GROUP_SECONDS = 5;

  const connection = document.querySelector("[data-connection]");
  const pause = document.querySelector("[data-pause]");
  const list = document.querySelector("[data-newest]");
  const state = document.querySelector(".state");
  const style = getComputedStyle(document.documentElement);
  const charts = new Map();
  // Values of the window's seconds by series; the last one is that of the second before `end`.
  const series = new Map();
  let end = 0;
  let source = null;
  let paused = false;
  let pending = null;

  function colour(name) {
    return style.getPropertyValue(name).trim();
  }

  function say(text) {
    if (connection.textContent !== text) connection.textContent = text;
  }

  function shift(update) {
    const tail = Object.values(update.series)[0].length;
    const whole = tail >= WINDOW_SECONDS;
    const passed = end === 0 ? WINDOW_SECONDS : Math.max(0, update.time - end);
    end = update.time;
    for (const [name, counts] of Object.entries(update.series)) {
      let values = series.get(name) ?? new Array(WINDOW_SECONDS).fill(0);
      values = whole ? counts.slice(-WINDOW_SECONDS) : [...values, ...new Array(Math.min(passed, WINDOW_SECONDS)).fill(0)].slice(-WINDOW_SECONDS);
      if (!whole) counts.forEach((count, place) => { values[WINDOW_SECONDS - tail + place] = count; });
      series.set(name, values);
    }
    let lags = series.get("lag") ?? new Array(WINDOW_SECONDS).fill(null);
    if (whole) lags = update.lags;
    else lags = [...lags, ...new Array(Math.min(passed, WINDOW_SECONDS)).fill(update.lag)].slice(-WINDOW_SECONDS);
    series.set("lag", lags);
    const channels = Object.keys(update.series).map((name) => series.get(name));
    series.set("total", lags.map((_, place) => channels.reduce((sum, values) => sum + values[place], 0)));
  }

  // Groups begin at multiples of their length, so that a chart moves along instead of flickering.
  function points(name) {
    const values = series.get(name);
    const start = end - WINDOW_SECONDS;
    const skip = (GROUP_SECONDS - (start % GROUP_SECONDS)) % GROUP_SECONDS;
    const times = [];
    const means = [];
    for (let place = skip; place + GROUP_SECONDS <= WINDOW_SECONDS; place += GROUP_SECONDS) {
      const known = values.slice(place, place + GROUP_SECONDS).filter((value) => value !== null);
      times.push(start + place);
      if (!known.length) means.push(null);
      else means.push(name === "lag" ? Math.max(...known) : known.reduce((sum, value) => sum + value, 0) / known.length);
    }
    return [times, means];
  }

  function chart(place) {
    const name = place.dataset.chart;
    const spark = place.classList.contains("spark");
    const axis = { stroke: () => colour("--muted"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return new uPlot({
      width: Math.max(place.clientWidth, 40),
      height: place.clientHeight,
      cursor: { show: false },
      legend: { show: false },
      select: { show: false },
      padding: spark ? [2, 0, 2, 0] : [6, 0, 0, 0],
      scales: { x: { time: true }, y: { range: (_, __, max) => [0, Math.max(max ?? 0, 1) * 1.1] } },
      axes: spark ? [{ show: false }, { show: false }] : [
        { ...axis, grid: { show: false }, size: 18, space: 90, values: (_, times) => times.map((time) => new Date(time * 1000).toISOString().slice(11, 16)) },
        { ...axis, size: 34, space: 30 },
      ],
      series: [{}, {
        stroke: () => colour("--thread"),
        fill: () => colour("--thread-wash"),
        width: 1.5,
        points: { show: false },
        paths: uPlot.paths.spline(),
      }],
    }, points(name), place);
  }

  function draw() {
    document.querySelectorAll("[data-chart]").forEach((place) => {
      const known = charts.get(place);
      if (known) known.setData(points(place.dataset.chart));
      else charts.set(place, chart(place));
    });
    document.querySelectorAll("[data-channel]").forEach((row) => {
      row.classList.toggle("silent", !series.get(row.dataset.channel).some((count) => count > 0));
    });
  }

  // Whoever tabs or reads through the list keeps it as it is; it is brought up to date afterwards.
  function show(newest) {
    if (list.contains(document.activeElement) || list.matches(":hover")) {
      pending = newest;
      return;
    }
    pending = null;
    // The server has escaped all that events wrote.
    list.innerHTML = newest;
  }

  function take(message) {
    const update = JSON.parse(message.data);
    for (const [name, text] of Object.entries(update.texts)) {
      const place = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
      if (place && place.textContent !== text) place.textContent = text;
    }
    state.dataset.mood = update.mood;
    shift(update);
    draw();
    if (update.newest !== undefined && update.newest !== null) show(update.newest);
    else if (pending !== null) show(pending);
    say("Live");
  }

  function connect() {
    source = new EventSource("/live");
    source.addEventListener("whole", take);
    source.addEventListener("tick", take);
    source.addEventListener("error", () => {
      say(source.readyState === EventSource.CLOSED ? "Not live any more: reload the page" : "Connection lost, trying again");
      state.dataset.mood = "waiting";
    });
  }

  function watch() {
    pause.hidden = false;
    say("Connecting");
    connect();
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Go on" : "Pause";
      if (paused) {
        source.close();
        say("Paused");
      } else {
        connect();
      }
    });
    new ResizeObserver(() => {
      charts.forEach((plot, place) => plot.setSize({ width: Math.max(place.clientWidth, 40), height: place.clientHeight }));
    }).observe(document.querySelector("main"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((plot) => plot.redraw(false)));
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => { if (event.persisted && !paused) connect(); });
  }

  // Older interactions come below those shown; whoever asked by keyboard goes on at the first of them.
  function followTimeline() {
    let shown = 0;
    document.addEventListener("htmx:before:request", () => {
      shown = document.querySelectorAll("[data-timeline] > li:not(.more)").length;
    });
    document.addEventListener("htmx:after:swap", () => {
      const first = document.querySelectorAll("[data-timeline] > li:not(.more)")[shown];
      if (!first) return;
      first.tabIndex = -1;
      first.focus({ preventScroll: true });
    });
  }

  if (connection) watch();
  if (document.querySelector("[data-timeline]")) followTimeline();
})();
