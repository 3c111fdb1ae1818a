// Shows what the server pushes, and opens the alert on a click. Keeps nothing, answers no requests of pages.

const HERE = self.location.origin;

// Only pages of ours are opened, whatever a message says.
const ours = (url) => {
  try {
    const found = new URL(url, HERE);
    return found.origin === HERE ? found.href : `${HERE}/alerts`;
  } catch {
    return `${HERE}/alerts`;
  }
};

function message(data) {
  try {
    return data.json();
  } catch {
    return {}; // a browser must show something for each push
  }
}

self.addEventListener("push", (event) => {
  const told = event.data ? message(event.data) : {};
  const wakes = told.event === "alert.raised" || told.event === "alert.reminder";
  const options = {
    body: told.body ?? "",
    icon: "/static/icons/192.png",
    badge: "/static/icons/192.png",
    data: ours(told.url ?? "/alerts"),
  };
  if (told.tag) Object.assign(options, { tag: told.tag, renotify: wakes });
  event.waitUntil(self.registration.showNotification(told.title || "restic-manager", options));
});

async function show(url) {
  const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = open.find((client) => client.url === url);
  return there ? there.focus() : self.clients.openWindow(url);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data));
});

// A new version serves at once: there is nothing of the old one to keep.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
