// The account page: this browser's subscription to notifications. The server gets it as a form, like everything else.

const form = document.querySelector("form[data-push]");
const button = form.querySelector("button");
const trouble = form.querySelector("[role=alert]");

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function say(sentence) {
  trouble.textContent = sentence;
  trouble.hidden = false;
}

async function subscription() {
  await navigator.serviceWorker.register("/sw.js", { scope: "/" });
  const { pushManager } = await navigator.serviceWorker.ready;
  const before = await pushManager.getSubscription();
  if (before && text(before.options.applicationServerKey ?? new ArrayBuffer(0)) !== form.dataset.push) await before.unsubscribe();
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(form.dataset.push) });
}

async function turnOn() {
  if ((await Notification.requestPermission()) !== "granted") return say(form.dataset.denied);
  try {
    const { endpoint, keys } = (await subscription()).toJSON();
    const given = { endpoint, p256dh: keys.p256dh, auth: keys.auth, made_for: form.dataset.push };
    for (const [name, value] of Object.entries(given)) form.elements[name].value = value;
  } catch {
    return say(form.dataset.failed);
  }
  form.submit();
}

if (form.dataset.push && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window) {
  form.hidden = false;
  document.querySelector("[data-no-push]").hidden = true;
  button.addEventListener("click", async () => {
    button.disabled = true;
    trouble.hidden = true;
    await turnOn();
    button.disabled = false;
  });
}
