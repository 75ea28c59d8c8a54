// Small elements of our own. Pages work without them: times are in UTC then, and charts are tables.
"use strict";

const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function ago(then) {
  const seconds = (then - Date.now()) / 1000;
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units.at(-1);
  return relative.format(Math.round(seconds / size), unit);
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

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
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

document.querySelector("[data-focus]")?.focus();
document.querySelector("form[data-submit]")?.requestSubmit();

// What was said once is not said again after a reload.
if (document.querySelector("[data-notice]")) {
  const url = new URL(location);
  url.searchParams.delete("notice");
  history.replaceState(null, "", url);
}
