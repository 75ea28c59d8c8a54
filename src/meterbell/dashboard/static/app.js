// Small elements of our own. Pages work without them: times are in UTC then, and charts are tables.
"use strict";

const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const dayOnly = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const timeOnly = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const compact = new Intl.NumberFormat("en", { notation: "compact" });
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function ago(then) {
  const seconds = (then - Date.now()) / 1000;
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units.at(-1);
  return relative.format(Math.round(seconds / size), unit);
}

// As the server writes numbers: in groups of three, with narrow blanks.
function grouped(number) {
  return number.toLocaleString("en", { maximumFractionDigits: 12 }).replaceAll(",", "\u202f");
}

// <time-ago><time datetime title>…</time></time-ago>: how long ago, and on hover UTC and local time.
customElements.define("time-ago", class extends HTMLElement {
  connectedCallback() {
    this.show();
  }

  show() {
    const time = this.firstElementChild;
    if (!time) return;
    const then = new Date(time.dateTime);
    const text = ago(then);
    if (time.textContent !== text) time.textContent = text;
    const utc = time.title.split("\n")[0];
    const title = `${utc}\n${local.format(then)}`;
    if (time.title !== title) time.title = title;
  }
});

function showTimes() {
  for (const element of document.querySelectorAll("time-ago")) element.show();
}
setInterval(showTimes, 10000);

let announcedAt = 0;
document.addEventListener("htmx:after:swap", () => {
  showTimes();
  for (const chart of document.querySelectorAll("usage-chart")) chart.refresh?.();
  const announce = document.querySelector("[data-announce]");
  if (announce && Date.now() - announcedAt > 15000) {
    announcedAt = Date.now();
    announce.textContent = `Updated at ${new Date().toLocaleTimeString()}`;
  }
});

// <copy-button data-text><button>…</button></copy-button>
customElements.define("copy-button", class extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", async () => {
      const button = this.firstElementChild;
      const label = button.getAttribute("aria-label");
      try {
        await navigator.clipboard.writeText(this.dataset.text);
        button.setAttribute("aria-label", "Copied");
        button.classList.add("badge-good");
      } catch {
        button.setAttribute("aria-label", "Can't copy here");
        button.classList.add("badge-bad");
      }
      setTimeout(() => {
        button.setAttribute("aria-label", label);
        button.classList.remove("badge-good", "badge-bad");
      }, 1500);
    });
  }
});

// <theme-switch data-theme>: system, light, dark. A cookie keeps it, so the server renders it.
customElements.define("theme-switch", class extends HTMLElement {
  connectedCallback() {
    const button = this.firstElementChild;
    button.hidden = false;
    const name = () => `Theme: ${this.dataset.theme || "system"}`;
    button.title = name();
    button.querySelector("span").textContent = name();
    button.addEventListener("click", () => {
      const next = { "": "light", light: "dark", dark: "" }[this.dataset.theme];
      this.dataset.theme = next;
      document.documentElement.toggleAttribute("data-theme", Boolean(next));
      if (next) document.documentElement.dataset.theme = next;
      document.cookie = `meterbell_theme=${next}; Path=/dashboard; Max-Age=${next ? 31536000 : 0}; SameSite=Lax`;
      button.title = name();
      button.querySelector("span").textContent = name();
      document.dispatchEvent(new Event("themechange"));
    });
  }
});

// <usage-chart src label>: usage over time with the threshold as a line. The table beside it is exact.
customElements.define("usage-chart", class extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "img");
    this.setAttribute("aria-label", this.getAttribute("label"));
    this.watcher = new ResizeObserver(() => this.chart?.setSize(this.size()));
    this.watcher.observe(this);
    this.redraw = () => this.chart?.redraw();
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.redraw);
    document.addEventListener("themechange", this.redraw);
    this.refresh();
  }

  disconnectedCallback() {
    this.watcher.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    document.removeEventListener("themechange", this.redraw);
    this.chart?.destroy();
  }

  size() {
    return { width: Math.max(this.clientWidth, 200), height: 260 };
  }

  // A canvas knows nothing of CSS variables and of light and dark.
  color(name) {
    this.probe ??= this.appendChild(Object.assign(document.createElement("span"), { hidden: true }));
    this.probe.className = `color-${name}`;
    return getComputedStyle(this.probe).color;
  }

  async refresh() {
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      const answer = await fetch(this.getAttribute("src"));
      if (answer.ok && this.isConnected) this.show(await answer.json());
    } catch {
      // The server is away; the next push asks again.
    } finally {
      this.isLoading = false;
    }
  }

  show(data) {
    this.data = data;
    if (data.label) this.setAttribute("aria-label", data.label);
    const columns = [data.times, data.values];
    if (this.chart) this.chart.setData(columns);
    else if (data.times.length) this.chart = new uPlot(this.options(), columns, this);
  }

  options() {
    const axis = { stroke: () => this.color("quiet"), grid: { stroke: () => this.color("line"), width: 1 }, ticks: { show: false } };
    return {
      ...this.size(),
      legend: { live: true },
      cursor: { y: false },
      scales: { y: { range: (_chart, _low, high) => [0, Math.max(high, ...this.lines().map((line) => line.value)) * 1.08 || 1] } },
      axes: [
        { ...axis, size: 34, values: (_chart, instants, _axis, _space, step) => instants.map((at) => this.when(at, step)) },
        { ...axis, values: (_chart, numbers) => numbers.map((number) => compact.format(number)), size: 56 },
      ],
      series: [{ label: "Until" }, {
        label: "Usage", width: 2, stroke: () => this.color("accent"),
        paths: uPlot.paths.stepped({ align: -1 }), points: { show: false },
        value: (_chart, value) => (value == null ? "" : grouped(value)),
      }],
      hooks: { draw: [(chart) => this.mark(chart)] },
    };
  }

  // Within a day hours are told, and the day where it begins.
  when(at, step) {
    const date = new Date(at * 1000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
    return (step < 86400 && !isMidnight ? timeOnly : dayOnly).format(date);
  }

  // Thresholds; of an alert's own chart there is one.
  lines() {
    const { lines, threshold } = this.data;
    return lines ?? (threshold == null ? [] : [{ label: "threshold", value: threshold }]);
  }

  mark(chart) {
    const { ctx, bbox } = chart;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = this.color("threshold");
    ctx.lineWidth = ratio;
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    let labelled = Infinity;
    for (const { label, value } of this.lines()) {
      const y = chart.valToPos(value, "y", true);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      // One above the other would not be readable; the list below the chart names all of them.
      if (Math.abs(labelled - y) < 14 * ratio) continue;
      labelled = y;
      ctx.fillText(`${label} ${grouped(value)}`, bbox.left + 6 * ratio, y - 3 * ratio, bbox.width);
    }
    if (this.data.triggered) {
      const y = chart.valToPos(this.data.threshold, "y", true);
      const x = chart.valToPos(this.data.triggered, "x", true);
      if (x >= bbox.left && x <= bbox.left + bbox.width) {
        ctx.setLineDash([]);
        ctx.beginPath();
        ctx.arc(x, y, 5 * ratio, 0, 7);
        ctx.fill();
      }
    }
    ctx.restore();
  }
});

// Keyboard: / finds, ? helps, g and a number goes to a section.
let going = false;
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, select, textarea, [contenteditable]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("[data-shortcut='/']")?.focus();
  } else if (event.key === "?") {
    document.getElementById("shortcuts")?.showModal();
  } else if (going && /^[1-9]$/.test(event.key)) {
    document.querySelectorAll(".side a")[Number(event.key) - 1]?.click();
  }
  going = event.key === "g";
});

for (const opener of document.querySelectorAll("[data-opens]")) {
  opener.hidden = false;
  opener.addEventListener("click", () => document.getElementById(opener.dataset.opens).showModal());
}

// A form that is on its way is not sent again: its buttons wait for the next page, or a while.
const underway = new WeakSet();

function setWaiting(form, isWaiting) {
  if (isWaiting) underway.add(form);
  else underway.delete(form);
  for (const button of form.querySelectorAll("button")) button.disabled = isWaiting;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.dataset.confirm;
  if (underway.has(form) || (question && !confirm(question))) {
    event.preventDefault();
  } else if (form.getAttribute("method") === "post") {
    setWaiting(form, true);
    setTimeout(setWaiting, 10000, form, false);
  }
});

// The way back may show a page as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) setWaiting(form, false);
});

// A menu closes when something else is clicked, or with Escape.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.firstElementChild.focus();
  }
});

// On a phone the sections stand side by side, and the one that is open may be out of sight.
const here = document.querySelector(".side [aria-current]");
if (here) here.closest("nav").scrollLeft = here.offsetLeft - 16;

document.querySelector("[data-focus]")?.focus();
document.querySelector("form[data-submit]")?.requestSubmit();

// What was said once is not said again after a reload.
if (document.querySelector("[data-notice]")) {
  const url = new URL(location);
  url.searchParams.delete("notice");
  history.replaceState(null, "", url);
}
