/** Who is at the station: the session's role, and the prompt for an API key. */
import { api, ApiError, key, whenKeyNeeded } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { t } from "./locale.js";

const ROLES = ["inspect", "review", "admin"];
let current = { role: "inspect", key_required: false, version: "" };
let asking = null;

/** Whether the session may do what a role may. */
export function may(role) {
  return ROLES.indexOf(current.role) >= ROLES.indexOf(role);
}

/** The sentence for what the key does not allow. */
export function refusal(role) {
  return t("Your key has the role “{role}”; this needs “{needed}”.", { role: current.role, needed: role });
}

/** Ask the service who we are; ask the user for a key until it answers. */
export async function openSession() {
  whenKeyNeeded(() => { void askForKey(t("The service no longer accepts this key. Enter another one.")).then(() => window.dispatchEvent(new HashChangeEvent("hashchange"))); });
  try {
    current = await api.session();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    current = await askForKey(key.get() ? t("The service does not accept the stored key.") : null);
  }
  show();
}

function show() {
  const bar = document.getElementById("session");
  fill(
    bar,
    current.key_required && h("span", { class: "session-role" }, t("Role: {role}", { role: current.role })),
    current.key_required && h("button", { class: "button button-plain", type: "button", onclick: forget }, t("Forget key")),
  );
}

function forget() {
  key.forget();
  location.reload();
}

/** Open the prompt, once at a time; resolves with the session when a key was accepted. */
function askForKey(reason) {
  asking ??= prompt(reason).finally(() => { asking = null; });
  return asking;
}

function prompt(reason) {
  return new Promise((resolve) => {
    const input = h("input", { class: "input", id: "api-key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
    const message = h("div", {}, reason && notice("warning", reason));
    const send = h("button", { class: "button button-primary", type: "submit" }, t("Continue"));
    const form = h(
      "form", { method: "dialog", novalidate: true },
      h("h2", { id: "key-title" }, t("API key")),
      h("p", { class: "muted" }, t("This station asks for a key. It is kept in this tab only and forgotten when the tab is closed.")),
      h("div", { class: "field" }, h("label", { for: "api-key" }, t("Key")), input),
      message,
      send,
    );
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "key-title" }, form);
    // Escape would leave a page that can do nothing.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const secret = input.value.trim();
      if (!secret) {
        fill(message, notice("error", t("Enter a key. Whoever runs the service makes one with: differnet keys")));
        input.focus();
        return;
      }
      send.disabled = true;
      try {
        const session = await api.session(secret);
        key.set(secret);
        current = session;
        show();
        dialog.close();
        dialog.remove();
        resolve(session);
      } catch (error) {
        fill(message, notice("error", error.status === 401 ? t("The service does not accept this key. Check it and try again.") : error.message));
        input.select();
      } finally {
        send.disabled = false;
      }
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
