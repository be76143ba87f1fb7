// The page's own script: theme, charts, passages. All text from the run goes through textContent.
(function () {
  "use strict";
  const root = document.documentElement;
  const data = (id) => {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  };
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const readHash = () => {
    const text = location.hash.slice(1);
    return text.includes("=") ? Object.fromEntries(new URLSearchParams(text)) : {};
  };

  // ---- theme ----
  const button = document.getElementById("theme-switch");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const nameTheme = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("byrote-theme", root.dataset.theme); } catch (error) { /* not kept */ }
    nameTheme();
  });
  system.addEventListener("change", nameTheme);
  nameTheme();

  // ---- charts: the pictures are there already; each comes alive in its turn ----
  const specs = data("chart-specs") || {};
  // On a narrow screen long titles go over two lines and legends over one column.
  const wrapped = (text) => text.split(" ").reduce((lines, word) => {
    const last = lines.length - 1;
    if (last >= 0 && lines[last].length + word.length < 38) lines[last] += " " + word;
    else lines.push(word);
    return lines;
  }, []);
  const narrowed = (value, key) => {
    if (typeof value === "string") {
      return ["title", "text", "subtitle"].includes(key) && value.length > 38 ? wrapped(value) : value;
    }
    if (key === "columns") return 1;
    if (key === "labelLimit" && value !== 220) return 140;  // of axes
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((item) => narrowed(item, ""));
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [
      name, ["data", "datasets", "tooltip"].includes(name) ? item : narrowed(item, name),
    ]));
  };
  const enliven = (holder) => {
    const spec = specs[holder.dataset.chart];
    const stage = make("div");
    holder.append(stage);
    const options = {
      mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    };
    return window.vegaEmbed(stage, holder.clientWidth < 480 ? narrowed(spec, "") : spec, options).then(() => {
      holder.querySelector(":scope > svg").remove();
      stage.style.display = "block";
      stage.style.width = "100%";
      holder.dataset.live = "yes";
    }, (error) => {
      stage.remove();  // the picture stays
      holder.dataset.live = "no: " + error.message;
    });
  };
  const holders = document.querySelectorAll(".chart[data-chart]");
  if (window.vegaEmbed && holders.length) {
    // One after the other, so that the page stays responsive meanwhile.
    const next = (index) => {
      if (index < holders.length) enliven(holders[index]).then(() => setTimeout(next, 0, index + 1));
    };
    setTimeout(next, 0, 0);
  }

  // ---- passages ----
  const payload = data("passage-data");
  if (!payload) return;
  const BATCH = 20;
  const STEPS = [0.01, 0.1, 0.5, 0.9, 0.99];
  const number = (value) => value.toLocaleString("en-US");
  const percent = (p) => {
    if (p === 0) return "0 %";
    if (p < 0.0001) return (100 * p).toExponential(1) + " %";
    if (p < 0.01) return (100 * p).toPrecision(2) + " %";
    return p > 0.9995 && p < 1 ? "over 99.9 %" : (100 * p).toFixed(1) + " %";
  };
  const power = (nats) => {
    const digits = nats / Math.LN10;
    const text = make("b", "", digits > -4 ? percent(Math.exp(nats)) : "10");
    if (digits <= -4) text.append(make("sup", "", digits.toFixed(1).replace("-", "\u2212")));
    return text;
  };
  const passages = payload.passages.map((p, order) => ({
    ...p,
    order,
    per: p.lp === undefined ? null : p.lp / p.n,
    hay: [p.id, p.source, p.category || "", p.prefix || "", p.t ? p.t.join("") : p.suffix || ""]
      .join("\n").toLowerCase(),
  }));

  // Characters that would show as nothing, or turn the line around, are shown as signs.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  const signOf = (c) => {
    const code = c.codePointAt(0);
    if (code < 32) return String.fromCharCode(0x2400 + code);
    return code === 127 ? "\u2421" : "[U+" + code.toString(16).toUpperCase().padStart(4, "0") + "]";
  };
  const visible = (text) => text.replace(HIDDEN, signOf);
  const fill = (element, text) => {
    visible(text).split("\n").forEach((line, i) => {
      if (i) element.append(make("span", "sign", "↵"), "\n");
      if (line) element.append(line);
    });
  };

  const form = document.getElementById("explorer-filters");
  const cards = document.getElementById("explorer-cards");
  const count = document.getElementById("explorer-count");
  const more = document.getElementById("explorer-more");
  const tip = document.getElementById("explorer-tip");
  const spoken = document.getElementById("explorer-spoken");
  const field = (name) => form.elements.namedItem(name);
  const DEFAULTS = { q: "", group: "", source: "", category: "", recited: "", sort: "lp", dir: "desc", min: "5" };
  let found = [];
  let shown = 0;

  const options = (name, values, all, label) => {
    const select = field(name);
    select.append(new Option(all, ""));
    for (const value of values) select.append(new Option(label ? label(value) : value, value));
    if (values.length < 2) select.closest("label").hidden = true;
  };
  const distinct = (key) => [...new Set(passages.map((p) => p[key]).filter((v) => v !== undefined))];
  const groups = distinct("group").sort((a, b) => (b === "texts") - (a === "texts") || (a < b ? -1 : 1));
  options("group", groups, "texts and controls", (g) => (g === "texts" ? "texts" : "control: " + g));
  options("source", distinct("source").sort(), "all");
  options("category", distinct("category").sort(), "all");

  const KEYS = {
    lp: (p) => p.per,
    run: (p) => p.run,
    acc: (p) => p.acc,
    full: (p) => (p.full ? 1 : 0),
    draws: (p) => (p.draws === undefined ? -Infinity : -p.draws),
    order: (p) => -p.order,
  };
  const RECITED = {
    "": () => true,
    full: (p) => p.full,
    20: (p) => p.run >= 20,
    not: (p) => !p.full,
  };
  const select = () => {
    const q = field("q").value.trim().toLowerCase();
    const is = (name, p) => !field(name).value || p[name] === field(name).value;
    const recited = RECITED[field("recited").value];
    const key = KEYS[field("sort").value];
    const sign = field("dir").value === "asc" ? -1 : 1;
    const low = (v) => (v === null || v === undefined ? -Infinity : v);
    found = passages.filter((p) => is("group", p) && is("source", p) && is("category", p)
      && recited(p) && (!q || p.hay.includes(q)));
    found.sort((a, b) => {
      const x = low(key(a)), y = low(key(b));
      return x === y ? a.order - b.order : x < y ? sign : -sign;
    });
    document.getElementById("legend-min").textContent = field("min").value;
    cards.replaceChildren();
    shown = 0;
    hideTip();
    grow();
  };
  const grow = () => {
    const next = found.slice(shown, shown + BATCH);
    cards.append(...next.map(card));
    shown += next.length;
    count.textContent = found.length
      ? `${number(found.length)} of ${number(passages.length)} match; ${number(shown)} shown`
      : `None of ${number(passages.length)} matches`;
    more.hidden = shown >= found.length;
    more.textContent = `Show ${Math.min(BATCH, found.length - shown)} more`;
  };

  const badge = (list, className, parts) => {
    const item = make("li", className);
    for (const part of parts) item.append(part);
    list.append(item);
  };
  const part = (className, name, text) => {
    const row = make("div", "part " + className);
    row.append(make("span", "part-name", name), text);
    return row;
  };
  const inRuns = (p, least) => {
    const marks = new Array(p.t.length).fill(false);
    for (let start = 0, i = 0; i <= p.t.length; i++) {
      if (i < p.t.length && p.a[i] === null) continue;
      if (i - start >= least) marks.fill(true, start, i);
      start = i + 1;
    }
    return marks;
  };
  const suffix = (p) => {
    const text = make("p", "part-text");
    text.dir = "auto";
    if (!p.t) { fill(text, p.suffix || ""); return text; }
    const marks = inRuns(p, Math.max(1, Number(field("min").value) || 5));
    p.t.forEach((piece, i) => {
      const chance = p.l[i] === null ? 0 : Math.exp(p.l[i]);
      const step = STEPS.filter((s) => chance >= s).length;
      const token = make("span", `tok p${step}${marks[i] ? " run" : ""}`);
      token.dataset.i = i;
      fill(token, piece);
      text.append(token);
    });
    text.tabIndex = 0;
    text.setAttribute("role", "group");
    text.setAttribute("aria-label", `Suffix of ${p.n} tokens; left and right arrow keys go through them`);
    return text;
  };
  const card = (p) => {
    const item = make("li", "card" + (p.full ? " full" : "") + (p.group === "texts" ? "" : " control"));
    item.dataset.order = p.order;
    const title = make("h3");
    fill(title, p.id);
    const badges = make("ul", "badges");
    if (p.full) badge(badges, "is-full", ["✓ recited in full"]);
    if (p.group !== "texts") badge(badges, "is-control", ["control: ", make("b", "", p.group)]);
    if (p.run !== undefined) badge(badges, "", ["longest stretch ", make("b", "", `${p.run} of ${p.n}`)]);
    if (p.acc !== undefined) badge(badges, "", ["tokens right ", make("b", "", percent(p.acc))]);
    if (p.lp !== undefined) badge(badges, "", ["probability of the suffix ", power(p.lp)]);
    if (p.draws !== undefined && p.draws < 1e9) {
      badge(badges, "", ["draws needed ", make("b", "", number(Math.ceil(p.draws)))]);
    }
    if (p.count !== undefined) badge(badges, "", ["times in training ", make("b", "", number(p.count))]);
    if (p.member !== undefined) badge(badges, "", [p.member ? "member" : "not a member"]);
    badge(badges, "", [p.source]);
    if (p.category !== undefined) badge(badges, "", [p.category]);
    const prefix = make("p", "part-text");
    prefix.dir = "auto";
    fill(prefix, p.prefix || "");
    item.append(title, badges, part("prefix", "Prefix", prefix), part("suffix", "Suffix", suffix(p)));
    if (p.gen !== undefined) {
      const text = make("p", "part-text");
      text.dir = "auto";
      fill(text, p.gen);
      item.append(part("prefix", p.rouge === undefined ? "Greedy" : `Greedy, ROUGE-L ${p.rouge}`, text));
    }
    const partner = p.of || p.id;
    const paired = passages.filter((other) => other.id === partner || other.of === partner);
    if (paired.length > 1) {
      const compare = make("button", "link", p.of ? "Compare with its text" : "Compare with its control");
      compare.type = "button";
      compare.addEventListener("click", () => {
        apply({ ...DEFAULTS, q: partner });
        field("q").focus();
      });
      const line = make("div", "part");
      line.append(make("span"), compare);
      item.append(line);
    }
    return item;
  };

  // ---- one token at a time: pointer or arrow keys ----
  let at = null;
  const hideTip = () => {
    tip.hidden = true;
    if (at) at.classList.remove("at");
    at = null;
  };
  const quoted = (text) => "“" + visible(text).replace(/\n/g, "↵") + "”";
  const showTip = (token, aloud) => {
    hideTip();
    const p = passages[Number(token.closest(".card").dataset.order)];
    const i = Number(token.dataset.i);
    const rows = [["token", quoted(p.t[i])]];
    rows.push(["probability", p.l[i] === null ? "0 %" : percent(Math.exp(p.l[i]))]);
    rows.push(["rank", p.a[i] === null ? "first choice" : number(p.r[i] + 1) + ". choice"]);
    if (p.a[i] !== null) rows.push(["model says", quoted(p.a[i])]);
    rows.push(["place", `${i + 1} of ${p.t.length}`]);
    const list = make("dl");
    for (const [name, value] of rows) list.append(make("dt", "", name), make("dd", "", value));
    tip.replaceChildren(list);
    tip.hidden = false;
    const box = token.getClientRects()[0] || token.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, innerWidth - size.width - 8));
    const below = box.bottom + 8;
    tip.style.left = left + "px";
    tip.style.top = (below + size.height > innerHeight ? box.top - size.height - 8 : below) + "px";
    token.classList.add("at");
    at = token;
    if (aloud) spoken.textContent = rows.map((row) => row.join(" ")).join(", ");
  };
  cards.addEventListener("pointerover", (event) => {
    const token = event.target.closest(".tok");
    if (token) showTip(token, false); else hideTip();
  });
  cards.addEventListener("pointerleave", hideTip);
  cards.addEventListener("focusout", hideTip);
  cards.addEventListener("keydown", (event) => {
    const text = event.target.closest(".suffix .part-text[tabindex]");
    if (!text || event.ctrlKey || event.metaKey || event.altKey) return;
    const tokens = text.querySelectorAll(".tok");
    const here = at && text.contains(at) ? Number(at.dataset.i) : -1;
    const last = tokens.length - 1;
    const goal = {
      ArrowRight: Math.min(last, here + 1), ArrowLeft: Math.max(0, here - 1), Home: 0, End: last,
    }[event.key];
    if (event.key === "Escape") hideTip();
    if (goal === undefined || last < 0) return;
    event.preventDefault();
    tokens[goal].scrollIntoView({ block: "nearest" });
    showTip(tokens[goal], true);
  });
  addEventListener("scroll", () => { if (at && !at.closest(":focus")) hideTip(); }, { passive: true });

  // ---- the state lives in the address, so that a view can be shared ----
  const keep = () => {
    const state = new URLSearchParams();
    for (const name of Object.keys(DEFAULTS)) {
      const value = field(name).value;
      if (value !== DEFAULTS[name]) state.set(name, value);
    }
    const asked = readHash().theme;
    if (asked) state.set("theme", asked);
    const page = location.href.split("#")[0];
    const text = state.toString();
    try { history.replaceState(null, "", text ? page + "#" + text : page); } catch (error) { /* not kept */ }
  };
  const apply = (values) => {
    for (const name of Object.keys(DEFAULTS)) {
      const element = field(name);
      element.value = values[name] === undefined ? DEFAULTS[name] : values[name];
      if (element.tagName === "SELECT" && element.selectedIndex < 0) element.value = DEFAULTS[name];
    }
    select();
    keep();
  };
  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { select(); keep(); }, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    const first = shown;
    grow();
    const next = cards.children[first];
    const text = next && next.querySelector("[tabindex]");
    if (text) text.focus({ preventScroll: true });
  });
  addEventListener("hashchange", () => { if (location.hash.includes("=")) apply(readHash()); });
  for (const [name, value] of Object.entries({ ...DEFAULTS, ...readHash() })) {
    const element = name in DEFAULTS ? field(name) : null;
    if (!element) continue;
    element.value = value;
    if (element.tagName === "SELECT" && element.selectedIndex < 0) element.value = DEFAULTS[name];
  }
  select();
})();
