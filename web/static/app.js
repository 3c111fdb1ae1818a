// What the pages do beyond plain HTML: keys, small comforts. What changes by itself is in live.js.
// Every form and link works without either.

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

const PLACES = { d: "/", h: "/hosts", p: "/policies", j: "/jobs", a: "/alerts", s: "/settings" };
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
document.addEventListener("rm:swapped", dress);
