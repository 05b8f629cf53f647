/** Inspect: pictures of the service's cameras, one by one or every so often. */
import { api } from "./api.js";
import { field, fill, h } from "./dom.js";
import { lookThrough } from "./live_picture.js";
import { t } from "./locale.js";
import { numeral } from "./words.js";

const LEAST_SECONDS = 0.2;

/** A choice of cameras and what can be done with them; hidden where the service has none. `take` is called with the camera for each picture. */
export function cameraInspection(take, signal) {
  const root = h("section", { class: "panel stack", "aria-label": t("From a camera"), hidden: true });
  void api.sources(signal).then(({ cameras }) => {
    root.hidden = !cameras.length;
    if (cameras.length) fill(root, ...new Cameras(cameras, take, signal).parts());
  }, () => {});
  return root;
}

class Cameras {
  constructor(names, take, signal) {
    Object.assign(this, { take, signal });
    this.timer = null;
    this.camera = h("select", { class: "select", onchange: () => this.choose() }, h("option", { value: "" }, t("None")), names.map((name) => h("option", { value: name }, name)));
    this.preview = h("div", { class: "collect-preview" });
    this.tools = h("div", { class: "stack", hidden: true });
    this.every = h("input", { class: "input", type: "text", inputmode: "decimal", autocomplete: "off", value: "2" });
    this.often = h("button", { class: "button", type: "button", onclick: () => (this.timer === null ? this.begin() : this.end()) });
    fill(this.tools, h("div", { class: "row" }, h("button", { class: "button button-primary", type: "button", onclick: () => this.take(this.camera.value) }, t("Inspect a picture"))), field(t("Seconds between two pictures"), this.every), h("div", { class: "row" }, this.often));
    signal.addEventListener("abort", () => this.end());
    this.end();
  }

  parts() {
    return [field(t("From a camera"), this.camera), this.preview, this.tools];
  }

  choose() {
    this.end();
    this.looking?.abort();
    fill(this.preview);
    this.tools.hidden = !this.camera.value;
    if (this.camera.value) this.looking = lookThrough(this.camera.value, this.preview, this.signal);
  }

  /** As long as this view is open; a picture that comes before the last one is inspected is left out. */
  begin() {
    const seconds = Math.max(LEAST_SECONDS, numeral(this.every) || 2);
    this.take(this.camera.value);
    this.timer = setInterval(() => this.take(this.camera.value, { orNone: true }), 1000 * seconds);
    fill(this.often, t("Stop"));
  }

  end() {
    clearInterval(this.timer);
    this.timer = null;
    fill(this.often, t("Inspect one every so often"));
  }
}
