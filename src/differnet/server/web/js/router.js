/** Views by the address's part after #: #/live, #/inspection/ID, #/recalibrate?model=NAME. */
import { fill, h, notice } from "./dom.js";
import { t } from "./locale.js";

let leave = null;
let views = {};

/** Every view is `async open(place, {id, parameters, signal})`; the signal ends when the user goes elsewhere. */
export function startRouter(table) {
  views = table;
  window.addEventListener("hashchange", () => void go());
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("content").focus();
  });
  return go(true);
}

async function go(first = false) {
  leave?.abort();
  leave = new AbortController();
  const { signal } = leave;
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  const view = views[name] ?? views.inspect;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.dataset.view === view.tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${view.title} - ${t("differnet inspection station")}`;
  const content = document.getElementById("content");
  const place = h("div", { class: `view view-${view.tab}` });
  fill(content, place);
  if (!first) {
    window.scrollTo(0, 0);
    content.focus({ preventScroll: true });
  }
  try {
    await view.open(place, { id: decodePart(id), parameters: new URLSearchParams(search), signal });
  } catch (error) {
    if (signal.aborted) return;
    place.append(notice("error", error.message), h("p", {}, h("button", { class: "button", type: "button", onclick: () => void go() }, t("Try again"))));
  }
}

function decodePart(part) {
  try {
    return decodeURIComponent(part ?? "");
  } catch {
    return "";
  }
}
