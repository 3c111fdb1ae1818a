// Live updates: one stream of events per browser, shared by its tabs; parts of pages that are fetched again.
//
// A part is an element with an id, `data-live` (the topics that concern it) and `data-from` (where it comes from). The
// server is told which version of it is here, and sends the lines that changed, or 304. A tab fetches once in two
// seconds at most, whatever happens, and not at all while nobody looks at it.

const CHANNEL = "restic-manager";
const PAUSE_MS = 2000; // from the beginning of a fetch to that of the next
const SPREAD = 0.25; // and up to so much longer: tabs that one event woke would all fetch at once, again and again
const SHARE = 10; // a fetch that took long: so many times as long until the next
const LONGEST_PAUSE_MS = 30000;
const POLL_MS = 15000; // where tabs cannot elect one (no Web Locks: plain HTTP on a LAN)
const CLOCK_MS = 30000; // relative times are written by the server: fetch again while the page is looked at
const LINES = "application/vnd.rmactors.lines+json";

// ---- which part is fetched when ------------------------------------------------------------------------------

const owed = new Set(); // ids of parts that have changed since they were fetched
const versions = new Map(); // by id of a part: the text of which the page was made, its tag, and where from
let restUntil = 0;
let timer = 0;
let fetching = false;

const parts = () => [...document.querySelectorAll("[data-live]")];

function show(state) { document.documentElement.dataset.live = state; }

function owe(concerned) {
  concerned.forEach((part) => owed.add(part.id));
  plan();
}

const announce = (topic) => owe(parts().filter((part) => part.dataset.live.split(" ").includes(topic)));
const announceAll = () => owe(parts());
document.addEventListener("rm:announce", (event) => announce(event.detail));

function plan() {
  if (fetching) return;
  if (!owed.size) return show("rest");
  if (document.hidden || timer) return;
  show("owed");
  timer = setTimeout(next, Math.max(0, restUntil - performance.now()));
}

async function next() {
  timer = 0;
  if (document.hidden) return;
  const [id] = owed;
  owed.delete(id);
  const part = document.getElementById(id);
  if (!part?.dataset.from || document.body.dataset.leaving) return plan();
  if (part.querySelector(".htmx-request")) { // something within waits for its answer, which would find nobody
    late.add(id);
    return plan();
  }
  fetching = true;
  show("fetching");
  const began = performance.now();
  try {
    await refresh(part);
  } catch {
    // The server is away: when the stream is there again, everything is fetched.
  }
  const took = performance.now() - began;
  restUntil = began + Math.min(Math.max(PAUSE_MS, SHARE * took), LONGEST_PAUSE_MS) * (1 + Math.random() * SPREAD);
  fetching = false;
  plan();
}

async function refresh(part) {
  const { id, dataset: { from } } = part;
  const version = versions.get(id)?.from === from ? versions.get(id) : null;
  const headers = { Accept: `${LINES}, text/html`, "HX-Request": "true", "HX-Target": id };
  if (version) headers["If-None-Match"] = version.tag;
  const answer = await fetch(from, { headers, cache: "no-store", redirect: "manual" });
  const target = answer.status === 401 && answer.headers.get("HX-Redirect");
  if (target) return leave(target);
  if (answer.status !== 200) return; // 304: as it is here
  const text = answer.headers.get("Content-Type") === LINES ? rebuilt(version.text, await answer.json()) : await answer.text();
  const tag = answer.headers.get("ETag");
  if (text === null || !tag) versions.delete(id);
  else versions.set(id, { from, tag, text });
  if (text === null) return owe([part]); // not what it should be: all of it
  if (document.getElementById(id) !== part || part.dataset.from !== from) return; // replaced meanwhile, by a search say
  if (pressed && part.contains(pressed)) {
    versions.delete(id);
    late.add(id);
    return;
  }
  swap(part, text);
}

// `lines`: ranges [first, count] of the lines that are here, and lines that are new.
function rebuilt(text, { lines, size }) {
  const before = text.split("\n");
  const after = lines.flatMap((each) => (typeof each === "string" ? [each] : before.slice(each[0], each[0] + each[1]))).join("\n");
  return after.length === size ? after : null;
}

// ---- into the page -------------------------------------------------------------------------------------------

function swap(part, text) {
  const made = document.createElement("template");
  made.innerHTML = text;
  const fresh = made.content.firstElementChild;
  if (!fresh) return;
  if ("reload" in part.dataset && !("reload" in fresh.dataset)) return location.reload(); // the first host: the page around it is another
  part.querySelectorAll("[hx-preserve][id]").forEach((each) => { // what a button brought stays
    fresh.querySelector(`#${CSS.escape(each.id)}`)?.replaceWith(each.cloneNode(true));
  });
  const was = keep(part);
  const now = renew(part, fresh);
  window.htmx?.process(now);
  restore(was);
  document.dispatchEvent(new CustomEvent("rm:swapped"));
}

const WHOLE = new Set(["INPUT", "SELECT", "TEXTAREA", "svg"]);

// Makes `was` like `now`, and leaves alone what is alike already: rows keep the selection, the focus, and their ticks.
function renew(was, now) {
  if (was.isEqualNode(now)) return was;
  if (was.tagName !== now.tagName || was.id !== now.id || WHOLE.has(was.tagName)) {
    was.replaceWith(now);
    return now;
  }
  [...was.attributes].forEach(({ name }) => { if (!now.hasAttribute(name)) was.removeAttribute(name); });
  [...now.attributes].forEach(({ name, value }) => { if (was.getAttribute(name) !== value) was.setAttribute(name, value); });
  const known = new Map([...was.children].filter((each) => each.id).map((each) => [each.id, each]));
  const nodes = [...now.childNodes];
  const wanted = new Set(nodes.map((node) => node.id).filter((id) => id));
  nodes.forEach((node, at) => {
    let here = was.childNodes[at];
    const match = node.id ? known.get(node.id) : here?.tagName && !here.id ? here : null;
    while (node.id && match && here && here !== match && !wanted.has(here.id)) { // moving would lose what is selected in it
      here.remove();
      here = was.childNodes[at];
    }
    if (match && match !== here) was.insertBefore(match, here ?? null);
    if (match) renew(match, node);
    else if (here && here.nodeType === node.nodeType && here.nodeType !== Node.ELEMENT_NODE) here.nodeValue = node.nodeValue;
    else was.insertBefore(node, here ?? null);
  });
  while (was.childNodes.length > nodes.length) was.lastChild.remove();
  return was;
}

// ---- what is typed and ticked survives an update -------------------------------------------------------------

const FOCUSABLE = "a[href], button, input, select, textarea, summary";
const late = new Set(); // parts whose update was put off: a press, or a button that waits
let pressed = null; // what a pointer or the space bar holds down

function settleLate() {
  late.forEach((id) => owed.add(id));
  late.clear();
  plan();
}

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
function press(event) {
  const within = event.target.closest?.("select, textarea, input:not([type=checkbox])");
  pressed = event.button === 2 || within ? null : event.target;
}
function release() {
  pressed = null;
  if (late.size) setTimeout(settleLate); // the click comes first
}
addEventListener("pointerdown", press, true);
addEventListener("keydown", (event) => { if (event.key === " ") press(event); }, true);
addEventListener("keyup", (event) => { if (event.key === " ") release(); }, true);
["pointerup", "pointercancel", "contextmenu", "blur"].forEach((end) => addEventListener(end, release));

function keep(part) {
  const active = document.activeElement;
  return {
    open: [...part.querySelectorAll("details[open][id]")].map((each) => each.id),
    ticked: [...part.querySelectorAll("input[type=checkbox][id]:checked")].map((each) => each.id),
    typed: [...part.querySelectorAll("input[type=text][id], input[type=search][id], textarea[id]")]
      .filter((each) => each.value !== each.defaultValue)
      .map((each) => [each.id, each.value]),
    chosen: [...part.querySelectorAll("select[id]")]
      .filter((each) => each.value !== (each.querySelector("option[selected]") ?? each.options[0])?.value)
      .map((each) => [each.id, each.value]),
    focus: active && part.contains(active) ? placeOf(active) : null,
    caret: active && part.contains(active) ? active.selectionStart : null,
    current: part.querySelector(".current")?.id,
    bottom: [...part.querySelectorAll("[data-follow]")].every((each) => each.scrollHeight - each.scrollTop - each.clientHeight < 40),
    scroll: part.querySelector("[data-follow]")?.scrollTop ?? 0,
  };
}

function restore(was) {
  was.open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  was.ticked.forEach((id) => { const box = document.getElementById(id); if (box) box.checked = true; });
  was.typed.forEach(([id, value]) => { const field = document.getElementById(id); if (field) field.value = value; });
  was.chosen.forEach(([id, value]) => {
    const option = [...document.getElementById(id)?.options ?? []].find((each) => each.value === value);
    if (option) option.selected = true;
  });
  if (was.current) document.getElementById(was.current)?.classList.add("current");
  const focus = was.focus && elementAt(was.focus);
  if (focus && focus !== document.activeElement) {
    focus.focus({ preventScroll: true });
    if (was.caret !== null && focus.setSelectionRange && /^(text|search)$|textarea/.test(focus.type)) focus.setSelectionRange(was.caret, was.caret);
  }
  const log = document.querySelector("[data-follow]");
  if (log) log.scrollTop = was.bottom ? log.scrollHeight : was.scroll;
}

// What htmx puts in the place of a part, a search as one types say.
let kept = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.matches("[data-live]")) kept = keep(event.detail.target);
});
document.addEventListener("htmx:afterSwap", () => {
  if (kept) restore(kept);
  kept = null;
  document.dispatchEvent(new CustomEvent("rm:swapped"));
});
document.addEventListener("htmx:afterRequest", () => { if (late.size) settleLate(); });

// A form whose button was just pressed is being sent: no update under the finger.
document.addEventListener("submit", () => { document.body.dataset.leaving = "true"; });
addEventListener("pageshow", (event) => {
  delete document.body.dataset.leaving;
  if (event.persisted) location.reload(); // back from the browser's cache, its stream closed
});

// ---- the badge, the tab's title and icon -----------------------------------------------------------------------

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
  if (icon && icon.getAttribute("href") !== badge.dataset.icon) icon.setAttribute("href", badge.dataset.icon);
}
document.addEventListener("rm:swapped", showBadge);

function putBadge(text) {
  const badge = document.getElementById("badge");
  if (!badge || badge.outerHTML === text.trim()) return;
  badge.outerHTML = text;
  showBadge();
}

// ---- the stream --------------------------------------------------------------------------------------------------

let hiddenSince = 0;
let leaving = false;

function say(text) {
  const link = document.getElementById("link");
  if (link && link.textContent !== text) link.textContent = text;
}

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

// The badge, or null where nobody is signed in any more; undefined while the server is away, which is not the same.
async function askBadge() {
  try {
    const answer = await fetch("/shell/badge", { headers: { "HX-Request": "true" }, redirect: "manual", cache: "no-store" });
    if (answer.status === 401) return null;
    return answer.ok ? await answer.text() : undefined;
  } catch {
    return undefined;
  }
}

function listen(share) {
  // Resolves never: anyone who listens does so until the tab is closed.
  let retryMs = 1000;
  const open = () => {
    const stream = new EventSource("/events?badge=1");
    stream.onopen = () => {
      retryMs = 1000;
      share({ link: "up" });
      share({ topic: "*" }); // what happened since the page was made, or the stream broke, was missed
      document.documentElement.dataset.listens = "true";
    };
    stream.onmessage = (event) => share({ topic: event.data });
    stream.addEventListener("badge", (event) => share({ badge: event.data }));
    stream.onerror = async () => {
      share({ link: "down" });
      if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again on its own
      if ((await askBadge()) === null) {
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

function take(message) {
  if (message.topic === "*") announceAll();
  else if (message.topic) announce(message.topic);
  if (message.badge) putBadge(message.badge);
  if (message.link === "up") say("");
  if (message.link === "down") say(document.getElementById("link")?.dataset.away ?? "");
  if (message.link === "out") leave(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

function startLive() {
  show("rest");
  if (!navigator.locks || !window.BroadcastChannel) {
    setInterval(async () => {
      if (document.hidden) return;
      const badge = await askBadge();
      if (badge === null) return take({ link: "out" });
      take({ topic: "*", badge });
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

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    hiddenSince = Date.now();
    clearTimeout(timer);
    timer = 0;
  } else if (Date.now() - hiddenSince > CLOCK_MS) announceAll(); // after sleep
  else plan();
});
setInterval(() => { if (!document.hidden) announce("clock"); }, CLOCK_MS);

showBadge();
startLive();
