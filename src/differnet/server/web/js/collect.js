/** Good pictures from the cameras and folders of the service's computer: looked at, taken one by one or in the background. */
import { api } from "./api.js";
import { announce, field, fill, h, notice } from "./dom.js";
import { lookThrough } from "./live_picture.js";
import { localized, said, spoken, t } from "./locale.js";
import { numeral, plural } from "./words.js";

export class Collect {
  /** @param changed called when there are other pictures or another collection */
  constructor(product, signal, changed) {
    Object.assign(this, { product, signal, changed });
    this.drawn = "";
    this.root = h("section", { class: "collect stack", "aria-label": t("From a camera or a folder"), hidden: true });
    this.problem = h("div");
    this.state = h("div", { class: "stack" });
    this.preview = h("div", { class: "collect-preview" });
    this.tools = h("div", { class: "stack" });
  }

  async load() {
    const { cameras, folders } = await api.sources(this.signal);
    this.root.hidden = false;
    if (!cameras.length && !folders.length) {
      fill(this.root, h("p", { class: "small muted" }, t("Cameras and folders of the service's computer can be used here when it is started with {camera} or {folder}.", { camera: "--camera NAME=SOURCE", folder: "--folder NAME=FOLDER" })));
      return;
    }
    const entry = (kind, word) => (name) => h("option", { value: `${kind}:${name}` }, word(name));
    this.source = h("select", { class: "select", onchange: () => this.choose() }, h("option", { value: "" }, t("None")), cameras.map(entry("camera", (name) => t("Camera {name}", { name }))), folders.map(entry("folder", (name) => t("Folder {name}", { name }))));
    fill(this.root, field(t("From a camera or a folder"), this.source), h("div", { class: "collect-body" }, this.preview, this.tools), this.problem, this.state);
  }

  /** What was chosen, and what can be done with it. */
  choose() {
    const [kind, ...rest] = this.source.value.split(":");
    const name = rest.join(":");
    this.looking?.abort();
    fill(this.problem);
    fill(this.preview);
    const number = (word, value, hint) => {
      const input = h("input", { class: "input", type: "text", inputmode: "decimal", autocomplete: "off", value });
      return [input, field(word, input, hint)];
    };
    if (kind === "camera") {
      const [every, everyField] = number(t("Seconds between two pictures"), "5");
      const [until, untilField] = number(t("Number of pictures"), "50");
      const take = h("button", { class: "button button-primary", type: "button", onclick: () => void this.take(name, take) }, t("Take a picture"));
      const begin = h("button", { class: "button", type: "button", onclick: () => void this.begin({ camera: name, every: numeral(every), until: numeral(until) }) }, t("Take one every so often"));
      fill(this.tools, h("div", { class: "row" }, take), h("div", { class: "collect-often" }, everyField, untilField), h("div", { class: "row" }, begin));
      this.looking = lookThrough(name, this.preview, this.signal);
    } else if (kind === "folder") {
      const [until, untilField] = number(t("Wait for new ones until so many are added"), "", t("Empty: take what is there now."));
      const begin = h("button", { class: "button button-primary", type: "button", onclick: () => void this.begin({ folder: name, until: until.value.trim() ? numeral(until) : null }) }, t("Take the folder's pictures"));
      fill(this.tools, untilField, h("div", { class: "row" }, begin));
    } else fill(this.tools);
  }

  async take(name, button) {
    button.disabled = true;
    await this.doing(async () => {
      const taken = await api.take(this.product, name);
      if (taken.known) fill(this.problem, notice("warning", t("{name}: is there already.", { name: taken.filename })));
      else announce(t("{pictures} added.", { pictures: plural(1, "picture") }));
    });
    button.disabled = false;
    button.focus();
  }

  begin(wish) {
    return this.doing(() => api.collect(this.product, wish));
  }

  async doing(what) {
    try {
      fill(this.problem);
      await what();
      await this.changed();
    } catch (error) {
      if (!this.signal.aborted) fill(this.problem, notice("error", error.message));
    }
  }

  /** How far the taking of pictures is. */
  draw(collection) {
    const now = JSON.stringify(collection);
    if (now === this.drawn) return;
    this.drawn = now;
    if (!collection) return;
    const { source, state, added, known, refused, every, until } = collection;
    const running = state === "running";
    const tally = [t("{pictures} added", { pictures: plural(added, "picture") }), known && t("{number} already there", { number: known }), refused && t("{number} not usable", { number: refused })].filter(Boolean).join(", ");
    const words = { running: every === null ? t("Pictures are taken from {source}", { source }) : t("A picture is taken from {source} every {seconds} s", { source, seconds: localized(String(every)) }), done: t("Pictures were taken from {source}", { source }), stopped: t("Stopped: {source}", { source }), failed: t("Pictures could not be taken from {source}", { source }) };
    fill(
      this.state,
      h("p", { class: "tally" }, `${words[state]}: ${tally}`),
      running && until !== null && h("progress", { class: "progress", max: until, value: added, "aria-label": t("Pictures added") }),
      collection.said && notice(state === "failed" ? "error" : "warning", h("span", { class: "break", ...spoken(collection.said) }, said(collection.said))),
      running && h("div", { class: "row" }, h("button", { class: "button", type: "button", onclick: () => void this.doing(() => api.stopCollecting(this.product)) }, t("Stop"))),
    );
  }
}
