// What pages can do beyond being read: everything is there without it, too.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");

// The theme: the system's, until somebody chooses.
const themeButton = document.querySelector("#theme");
if (themeButton) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const label = () => {
    const next = shown() === "dark" ? "light" : "dark";
    themeButton.setAttribute("aria-label", `Switch to the ${next} theme`);
    themeButton.title = `Switch to the ${next} theme`;
  };
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = shown() === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("celerysalt-theme", root.dataset.theme);
    } catch {
      // It holds for this page, then.
    }
    label();
  });
  system.addEventListener("change", label);
  label();
}

// "/" leads to the search.
const search = document.querySelector("input[type=search]");
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// Code can be copied.
const says = document.querySelector("#says");
if (navigator.clipboard) {
  for (const block of document.querySelectorAll(".code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${block.dataset.name ?? "this code"}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.querySelector("code").textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      if (says) says.textContent = button.textContent;
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    block.append(button);
  }
}

// Rust or Python: as tabs, and the choice is kept.
for (const group of document.querySelectorAll(".languages")) {
  const panels = [...group.querySelectorAll(":scope > section")];
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "Language");
  const tabs = panels.map((panel) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${panel.id}`;
    tab.textContent = panel.dataset.language;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return tab;
  });
  const choose = (chosen, focus) => {
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === chosen));
      tab.tabIndex = at === chosen ? 0 : -1;
      panels[at].hidden = at !== chosen;
    });
    if (focus) {
      tabs[chosen].focus();
      try {
        localStorage.setItem("celerysalt-language", tabs[chosen].textContent);
      } catch {
        // It holds for this page, then.
      }
    }
  };
  tabs.forEach((tab, at) => tab.addEventListener("click", () => choose(at, true)));
  list.addEventListener("keydown", (event) => {
    const now = tabs.indexOf(document.activeElement);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      choose((next + tabs.length) % tabs.length, true);
    }
  });
  group.prepend(list);
  let chosen = 0;
  try {
    chosen = Math.max(0, tabs.findIndex((tab) => tab.textContent === localStorage.getItem("celerysalt-language")));
  } catch {
    // The first one, then.
  }
  choose(chosen, false);
}

// How long ago something was.
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
for (const time of document.querySelectorAll("time[data-ago]")) {
  const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
  const [unit, size] = [["second", 1], ["minute", 60], ["hour", 3600], ["day", 86400]].findLast(
    ([, size]) => Math.abs(seconds) >= size,
  ) ?? ["second", 1];
  const ago = document.createElement("span");
  ago.className = "ago";
  ago.textContent = words.format(Math.round(seconds / size), unit);
  time.after(" ", ago);
}

// The list of topics: searched and narrowed down while somebody types.
const filters = document.querySelector("#filters");
const index = globalThis.celerysaltIndex;
if (filters && index) {
  const list = document.querySelector("#topics");
  const count = document.querySelector("#count");
  const rows = [...list.children];
  const topics = index.map(([topic, title, description, owner, mode, fields], at) => ({
    row: rows[at], at, topic, title, description, owner, mode, fields,
    hay: [topic, title, description, owner, ...fields].join("\n").toLowerCase(),
  }));
  filters.hidden = false;

  // None where a word is nowhere; the more, the better it fits.
  const score = (topic, words) => {
    let sum = 0;
    for (const word of words) {
      if (!topic.hay.includes(word)) return undefined;
      const name = topic.topic.toLowerCase();
      if (name === word) sum += 100;
      else if (name.startsWith(word)) sum += 40;
      else if (name.split(/[._-]/).some((part) => part.startsWith(word))) sum += 30;
      else if (name.includes(word)) sum += 20;
      else if (topic.title.toLowerCase().includes(word)) sum += 10;
      else if (topic.fields.some((field) => field.toLowerCase() === word)) sum += 8;
      else sum += 1;
    }
    return sum;
  };

  // Where a word was found, when the row itself does not show it.
  const hint = (topic, words) => {
    const shown = `${topic.topic} ${topic.title} ${topic.description} ${topic.owner}`.toLowerCase();
    const found = words
      .filter((word) => !shown.includes(word))
      .flatMap((word) => topic.fields.filter((field) => field.toLowerCase().includes(word)).slice(0, 3));
    return found.length > 0 ? `field ${[...new Set(found)].join(", ")}` : "";
  };

  const show = () => {
    const data = new FormData(filters);
    const words = String(data.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const matches = [];
    for (const topic of topics) {
      const fits =
        (!data.get("owner") || topic.owner === data.get("owner")) &&
        (!data.get("mode") || topic.mode === data.get("mode")) &&
        (!data.get("state") || (topic.row.dataset.state ?? "").split(" ").includes(data.get("state")));
      const points = fits ? score(topic, words) : undefined;
      topic.row.hidden = points === undefined;
      const place = topic.row.querySelector(".hint");
      const text = points === undefined ? "" : hint(topic, words);
      if (text) {
        const said = place ?? topic.row.appendChild(Object.assign(document.createElement("p"), { className: "hint" }));
        said.textContent = text;
      } else {
        place?.remove();
      }
      if (points !== undefined) matches.push([points, topic]);
    }
    matches.sort(([a, first], [b, second]) => b - a || first.at - second.at);
    list.append(...matches.map(([, topic]) => topic.row));
    const all = topics.length;
    const found = matches.length;
    count.textContent =
      found === all ? `${all} topics` : found === 0 ? "No topic matches." : `${found} of ${all} topics`;
    const query = new URLSearchParams([...data].filter(([, value]) => value !== ""));
    try {
      history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
    } catch {
      // Some browsers let files not change their address: then the search is not in it.
    }
  };

  const asked = new URLSearchParams(location.search);
  for (const name of ["q", "owner", "mode", "state"]) {
    const field = filters.elements.namedItem(name);
    if (field && asked.has(name)) field.value = asked.get(name);
  }
  filters.addEventListener("input", show);
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    // Enter opens the best one.
    list.querySelector("li:not([hidden]) a")?.click();
  });
  if ([...asked].length > 0) show();
}
