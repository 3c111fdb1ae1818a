// Passkeys: what the server wants signed is fetched, the browser's answer goes back in the form, like everything else.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const described = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

async function ask(url) {
  const answer = await fetch(url, { method: "POST", redirect: "error" });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const options = await answer.json();
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  options.excludeCredentials = described(options.excludeCredentials);
  options.allowCredentials = described(options.allowCredentials);
  return options;
}

function written(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (credential.response[name]) response[name] = text(credential.response[name]);
  const { id, type } = credential;
  return JSON.stringify({ id, rawId: text(credential.rawId), type, response, clientExtensionResults: {} });
}

// The page of a form that waits for it: the answer is judged first, then that form is sent as it is.
async function prove(form, waiting) {
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (answer.status === 204) return waiting.submit();
  throw new Error((await answer.json()).detail);
}

function setUp(form) {
  const button = form.querySelector("button");
  const trouble = form.querySelector("[role=alert]");
  const { passkey: kind, options, origin, waiting } = form.dataset;
  const say = (sentence) => {
    trouble.textContent = sentence;
    trouble.hidden = false;
  };
  const words = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "again", SecurityError: "elsewhere" };
  form.hidden = false;
  form.parentElement.querySelector("[data-no-passkey]")?.remove();
  if (location.origin !== origin || !window.PublicKeyCredential) {
    button.disabled = true;
    return say(location.origin === origin ? form.dataset.unsupported : form.dataset.elsewhere);
  }
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (!form.reportValidity()) return;
    button.disabled = true;
    trouble.hidden = true;
    try {
      const publicKey = await ask(options);
      form.elements.credential.value = written(await navigator.credentials[kind]({ publicKey }));
      await (waiting ? prove(form, document.getElementById(waiting)) : form.submit());
    } catch (error) {
      say(form.dataset[words[error.name]] ?? form.dataset.failed);
    }
    button.disabled = false;
  });
}

document.querySelectorAll("form[data-passkey]").forEach(setUp);
