// What the pages do beyond plain HTML: live updates over one stream per browser, keys, small comforts.
// Every form and link works without this file.

const TOPICS = ["alerts", "hosts", "jobs", "channels", "silences", "users", "repositories"];
const CHANNEL = "restic-manager";
const QUIET_MS = 400; // pause between two refetches of the same topic
const POLL_MS = 15000; // where tabs cannot elect one (no Web Locks: plain HTTP on a LAN)
const CLOCK_MS = 30000; // relative times are written by the server: fetch again while the page is looked at

// ---- live ----------------------------------------------------------------------------------------------------

const resting = new Map();
const owed = new Set(); // announced while the page was hidden
const announcedAt = new Map();
const askedAt = new Map(); // by id of the part that is being fetched again

function dispatch(topic) {
  announcedAt.set(topic, performance.now());
  document.body.dispatchEvent(new CustomEvent(`rm:${topic}`));
}

function announce(topic) {
  if (document.hidden) { // nobody looks: only what the browser's tab itself shows
    owed.add(topic);
    if (topic === "alerts") dispatch("badge");
    return;
  }
  if (resting.has(topic)) {
    resting.set(topic, true); // once more when the pause is over
    return;
  }
  resting.set(topic, false);
  dispatch(topic);
  setTimeout(() => {
    const again = resting.get(topic);
    resting.delete(topic);
    if (again) announce(topic);
  }, QUIET_MS);
}

const announceAll = () => {
  TOPICS.forEach(announce);
  const own = document.querySelector("[data-topic]");
  if (own) announce(own.dataset.topic);
};

function say(text) {
  const link = document.getElementById("link");
  if (link && link.textContent !== text) link.textContent = text;
}

async function signedIn() {
  try {
    const answer = await fetch("/shell/badge", { headers: { "HX-Request": "true" }, redirect: "manual", cache: "no-store" });
    return answer.status !== 401;
  } catch {
    return true; // the server is away, which is not the same
  }
}

function listen(share) {
  // Resolves never: anyone who listens does so until the tab is closed.
  let retryMs = 1000;
  const open = () => {
    const stream = new EventSource("/events");
    stream.onopen = () => {
      retryMs = 1000;
      share({ link: "up" });
      share({ topic: "*" }); // what happened since the page was made, or the stream broke, was missed
      document.documentElement.dataset.listens = "true";
    };
    stream.onmessage = (event) => share({ topic: event.data });
    stream.onerror = async () => {
      share({ link: "down" });
      if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again on its own
      if (!(await signedIn())) {
        share({ link: "out" });
        return;
      }
      setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, 30000);
    };
    addEventListener("pagehide", () => stream.close(), { once: true });
  };
  open();
}

let leaving = false;

function leave(target) {
  if (leaving) return; // several parts find out at once that nobody is signed in any more
  leaving = true;
  location.assign(target);
}

document.addEventListener("htmx:beforeOnLoad", (event) => {
  const target = event.detail.xhr.status === 401 && event.detail.xhr.getResponseHeader("HX-Redirect");
  if (!target) return;
  event.preventDefault();
  leave(target);
});

function take(message) {
  if (message.topic === "*") announceAll();
  else if (message.topic) announce(message.topic);
  if (message.link === "up") say("");
  if (message.link === "down") say(document.getElementById("link")?.dataset.away ?? "");
  if (message.link === "out") leave(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

function startLive() {
  if (!navigator.locks || !window.BroadcastChannel) {
    setInterval(async () => {
      if (document.hidden) return;
      if (await signedIn()) announceAll();
      else take({ link: "out" });
    }, POLL_MS);
    return;
  }
  const others = new BroadcastChannel(CHANNEL);
  others.onmessage = (event) => take(event.data);
  navigator.locks.request(CHANNEL, () => {
    listen((message) => {
      others.postMessage(message);
      take(message);
    });
    return new Promise(() => {});
  });
}

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // back from the browser's cache, its stream closed
});

// What is announced while a part is being fetched may be missing from it, and htmx forgets what an element
// that was replaced had queued: ask once more.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id) askedAt.set(event.detail.elt.id, performance.now());
});
document.addEventListener("htmx:afterSettle", (event) => { // only now does the new element listen
  const asked = askedAt.get(event.detail.elt.id) ?? Infinity;
  [...announcedAt].filter(([, at]) => at > asked).forEach(([topic]) => dispatch(topic));
});

let hiddenSince = 0;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    hiddenSince = Date.now();
    return;
  }
  if (Date.now() - hiddenSince > CLOCK_MS) announceAll(); // after sleep
  else owed.forEach(announce);
  owed.clear();
});
setInterval(() => {
  if (!document.hidden) document.body.dispatchEvent(new CustomEvent("rm:clock"));
}, CLOCK_MS);

// ---- what is typed and ticked survives an update -------------------------------------------------------------

const FOCUSABLE = "a[href], button, input, select, textarea, summary";
let kept = null;
let late = false; // an update was put off
let pressed = null; // what a pointer or the space bar holds down
let swapOwed = false; // an update came under it

// Where the keyboard is: by its own id, or by its place in the nearest part that has one.
function placeOf(element) {
  const around = element.closest("[id]");
  return { around: around.id, at: around === element ? -1 : [...around.querySelectorAll(FOCUSABLE)].indexOf(element), like: lookOf(element) };
}
function lookOf(element) { return `${element.tagName} ${element.name ?? ""} ${element.textContent.trim()}`; }
function elementAt(place) {
  const around = document.getElementById(place.around);
  if (!around || place.at < 0) return around;
  const found = around.querySelectorAll(FOCUSABLE)[place.at];
  return found && lookOf(found) === place.like ? found : null;
}

// A press and its release make a click only where both find the same element: no part is replaced in between.
// Menus of the browser, a select's too, take the release for themselves: what opens one is not waited for.
function press(event) { pressed = event.button === 2 || event.target.closest?.("select") ? null : event.target; }
function release() {
  pressed = null;
  if (!swapOwed) return;
  swapOwed = false;
  setTimeout(announceAll); // the click comes first
}
addEventListener("pointerdown", press, true);
addEventListener("keydown", (event) => { if (event.key === " ") press(event); }, true);
addEventListener("keyup", (event) => { if (event.key === " ") release(); }, true);
["pointerup", "pointercancel", "contextmenu", "blur"].forEach((end) => addEventListener(end, release));

document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  if (!target.matches("[data-live]")) return;
  if (pressed && target.contains(pressed)) {
    event.detail.shouldSwap = false;
    swapOwed = true;
    return;
  }
  const active = document.activeElement;
  kept = {
    open: [...target.querySelectorAll("details[open][id]")].map((each) => each.id),
    ticked: [...target.querySelectorAll("input[type=checkbox][id]:checked")].map((each) => each.id),
    typed: [...target.querySelectorAll("input[type=text][id], input[type=search][id], textarea[id]")]
      .filter((each) => each.value !== each.defaultValue)
      .map((each) => [each.id, each.value]),
    chosen: [...target.querySelectorAll("select[id]")]
      .filter((each) => each.value !== (each.querySelector("option[selected]") ?? each.options[0])?.value)
      .map((each) => [each.id, each.value]),
    focus: active && target.contains(active) ? placeOf(active) : null,
    caret: active && target.contains(active) ? active.selectionStart : null,
    current: target.querySelector(".current")?.id,
    bottom: [...target.querySelectorAll("[data-follow]")].every((each) => each.scrollHeight - each.scrollTop - each.clientHeight < 40),
    scroll: target.querySelector("[data-follow]")?.scrollTop ?? 0,
  };
});

document.addEventListener("htmx:afterSwap", () => {
  if (!kept) return;
  const was = kept;
  kept = null;
  was.open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  was.ticked.forEach((id) => { const box = document.getElementById(id); if (box) box.checked = true; });
  was.typed.forEach(([id, value]) => { const field = document.getElementById(id); if (field) field.value = value; });
  was.chosen.forEach(([id, value]) => {
    const option = [...document.getElementById(id)?.options ?? []].find((each) => each.value === value);
    if (option) option.selected = true;
  });
  if (was.current) document.getElementById(was.current)?.classList.add("current");
  const focus = was.focus && elementAt(was.focus);
  if (focus) {
    focus.focus({ preventScroll: true });
    if (was.caret !== null && focus.setSelectionRange && /^(text|search)$|textarea/.test(focus.type)) focus.setSelectionRange(was.caret, was.caret);
  }
  dress();
  const log = document.querySelector("[data-follow]");
  if (log) log.scrollTop = was.bottom ? log.scrollHeight : was.scroll;
});

// A form whose button was just pressed is being sent: no update under the finger.
document.addEventListener("submit", () => { document.body.dataset.leaving = "true"; });
addEventListener("pageshow", () => { delete document.body.dataset.leaving; });
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt;
  if (!part.matches("[data-live]")) return;
  if (document.body.dataset.leaving) event.preventDefault();
  // A button within waits for its answer, which would find nobody: the part is fetched when that has come.
  if (part.querySelector("button.htmx-request")) {
    late = true;
    event.preventDefault();
  }
});
document.addEventListener("htmx:afterOnLoad", () => {
  if (!late || document.querySelector("[data-live] button.htmx-request")) return;
  late = false;
  announceAll();
});

// ---- title, icon ---------------------------------------------------------------------------------------------

const plainTitle = document.title.replace(/^\(\d+\) /, "");

function showBadge() {
  const badge = document.getElementById("badge");
  if (!badge) return;
  const open = Number(badge.dataset.open);
  const heading = document.querySelector("#overview h1");
  const rest = heading ? plainTitle.replace(/^.*(?= · )/, heading.textContent) : plainTitle;
  const title = open ? `(${open}) ${rest}` : rest;
  if (document.title !== title) document.title = title;
  const icon = document.getElementById("icon");
  const href = `/static/icon-${badge.dataset.icon}.svg`;
  if (icon && icon.getAttribute("href") !== href) icon.setAttribute("href", href);
}
document.addEventListener("htmx:afterSettle", showBadge);

// ---- comforts ------------------------------------------------------------------------------------------------

function dress() {
  document.querySelectorAll(".asking").forEach((card) => { card.hidden = true; }); // scripts run when the answer is there
  document.querySelectorAll("[data-select-all]").forEach((box) => { box.hidden = false; });
  document.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = !navigator.clipboard; });
  document.querySelectorAll("[data-submit] button, [data-noscript]").forEach((each) => { each.hidden = true; });
  countSelected();
}

// How many are selected stands in the bar that acts on them.
function countSelected() {
  document.querySelectorAll("[data-selected]").forEach((each) => {
    each.dataset.plain ??= each.textContent;
    const count = new Set([...document.querySelectorAll(`input[name=${each.dataset.selected}]:checked`)].map((box) => box.value)).size;
    each.textContent = count ? `${count} ${each.dataset.some}` : each.dataset.plain;
  });
}

document.addEventListener("change", (event) => {
  const field = event.target;
  if (field.matches("[data-select-all]")) {
    document.querySelectorAll(`input[name=${field.dataset.selectAll || "alert"}]`).forEach((box) => { box.checked = field.checked; });
    countSelected();
  } else if (field.matches("input[type=checkbox][form=bulk]")) {
    document.querySelectorAll(`input[form=bulk][value="${field.value}"]`).forEach((box) => { box.checked = field.checked; }); // under other tags
    countSelected();
  } else if (field.matches("[data-submit] select, [data-submit] input[type=checkbox], [data-submit] input[list]")) {
    field.form.requestSubmit();
  } else if (field.matches("select[data-fills]")) { // its form fills in what the button beside it does without scripts
    const fields = JSON.parse(field.selectedOptions[0].dataset.fields ?? "{}");
    Object.entries(fields).forEach(([name, value]) => { field.form.elements[name].value = value; });
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.textContent = button.dataset.copied;
});

document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.removeAttribute("open"); });
});

function offerZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const field = document.getElementById("zone");
  const hint = document.getElementById("browser-zone");
  if (!field || !hint || !zone || field.value === zone) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = zone;
  button.addEventListener("click", () => { field.value = zone; field.form.requestSubmit(); });
  hint.append(button);
  hint.hidden = false;
}

// ---- keys ----------------------------------------------------------------------------------------------------

const PLACES = { d: "/", h: "/hosts", j: "/jobs", a: "/alerts", s: "/settings" };
let goingSince = 0;

function items() { return [...document.querySelectorAll("[data-item]")]; }
function current() { return document.querySelector("[data-item].current"); }

function move(step) {
  const all = items();
  if (!all.length) return;
  const at = all.indexOf(current());
  const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
  current()?.classList.remove("current");
  next.classList.add("current");
  next.scrollIntoView({ block: "nearest" });
}

function act(key) {
  const all = items();
  const item = current() ?? (all.length === 1 ? all[0] : null);
  if (!item) return false;
  switch (key) {
    case "Enter": item.querySelector("[data-open]")?.click(); return true;
    case "x": item.querySelector("input[type=checkbox]")?.click(); return true;
    case "n": {
      const note = item.querySelector("details");
      if (note) note.open = true;
      item.querySelector("[name=note]")?.focus();
      return true;
    }
    default: item.querySelector(`[data-key="${key}"]`)?.click(); return true;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (event.key === "Escape") {
    if (typing) typing.blur();
    document.querySelectorAll("details.menu[open]").forEach((menu) => menu.removeAttribute("open"));
    return;
  }
  if (typing || document.querySelector("dialog[open]")) return;
  if (goingSince && Date.now() - goingSince < 1500 && PLACES[event.key]) {
    location.assign(PLACES[event.key]);
    return;
  }
  goingSince = 0;
  let done = true;
  switch (event.key) {
    case "/": {
      const search = document.querySelector("[data-search]");
      if (search) search.focus();
      else done = false;
      break;
    }
    case "?": document.getElementById("keys")?.showModal(); break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "g": goingSince = Date.now(); break;
    case "Enter": done = event.target === document.body && act("Enter"); break;
    case "x": case "n": case "a": case "r": done = act(event.key); break;
    default: done = false;
  }
  if (done) event.preventDefault();
});

const showKeys = document.getElementById("show-keys");
if (showKeys) {
  showKeys.hidden = false;
  showKeys.addEventListener("click", (event) => { event.preventDefault(); document.getElementById("keys").showModal(); });
}

dress();
offerZone();
showBadge();
startLive();
