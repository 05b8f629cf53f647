/** The good pictures of a product as a wall: added, marked, left out, looked at. */
import { api } from "./api.js";
import { announce, fill, h, notice } from "./dom.js";
import { dropZone } from "./drop_zone.js";
import { icon } from "./icons.js";
import { localized, t } from "./locale.js";
import { patiently } from "./patience.js";
import { pictureWithMaps, thumbnail } from "./picture.js";
import { unlessPressed } from "./press.js";
import { may, refusal } from "./session.js";
import { plural } from "./words.js";

const AT_ONCE = 3;
const MOST_ERRORS = 5;
const SHOWN = 120;
const FILTERS = {
  all: [t("All"), () => true],
  copies: [t("Near-copies"), (each) => each.copies !== null],
  size: [t("Unusual size"), (each) => each.unusual_size],
  strange: [t("Strange"), (each) => each.deviations !== null],
  out: [t("Left out"), (each) => each.left_out],
};

export class Wall {
  /**
   * @param onchange called with all pictures after every change of them
   * @param more what else brings pictures
   */
  constructor(product, signal, onchange, more = null) {
    Object.assign(this, { product, signal, onchange });
    this.pictures = [];
    this.filter = "all";
    this.shown = SHOWN;
    this.waiting = [];
    this.thumbs = new Map();
    this.active = 0;
    this.sent = 0;
    this.failed = [];
    this.problem = h("div");
    this.tally = h("p", { class: "tally" });
    this.progress = h("progress", { class: "progress", max: 1, value: 0, hidden: true, "aria-label": t("Pictures added") });
    this.filters = h("div", { class: "chips", role: "group", "aria-label": t("Show") });
    this.tools = h("div", { class: "row" });
    this.list = h("ul", { class: "wall", "aria-label": t("Good pictures") });
    this.more = h("div", { class: "row" });
    this.root = h(
      "section", { class: "panel stack", "aria-label": t("Pictures of good parts") },
      h("div", { class: "panel-head" }, h("h2", {}, t("Pictures of good parts"))),
      may("review") ? dropZone((files) => this.add(files), signal) : notice("info", refusal("review")), more,
      this.tally, this.progress, this.problem, this.filters, this.tools, this.list, this.more,
    );
  }

  async load() {
    this.take(await api.pictures(this.product, this.signal));
  }

  take(pictures) {
    this.pictures = pictures;
    this.draw();
    this.onchange(pictures);
  }

  add(files) {
    if (!this.waiting.length && !this.active) Object.assign(this, { sent: 0, failed: [] });
    this.waiting.push(...files);
    this.pump();
  }

  pump() {
    while (this.active < AT_ONCE && this.waiting.length) {
      const file = this.waiting.shift();
      this.active += 1;
      void this.send(file);
    }
    this.count();
  }

  async send(file) {
    try {
      const added = await patiently(() => api.addPicture(this.product, file));
      if (added.known) this.failed.push(t("{name}: is there already.", { name: file.name }));
    } catch (error) {
      this.failed.push(`${file.name}: ${error.message}`);
    }
    this.active -= 1;
    this.sent += 1;
    if (this.signal.aborted) {
      this.pump();
      return;
    }
    if (!this.active && !this.waiting.length) {
      const told = this.failed.slice(0, MOST_ERRORS).map((said) => h("p", { class: "break" }, said));
      if (this.failed.length > MOST_ERRORS) told.push(h("p", {}, t("and {more} more", { more: this.failed.length - MOST_ERRORS })));
      fill(this.problem, told.length > 0 && notice("warning", ...told));
      announce(t("{pictures} added.", { pictures: plural(this.sent - this.failed.length, "picture") }));
      await this.load().catch((error) => fill(this.problem, notice("error", error.message)));
    }
    this.pump();
  }

  count() {
    const all = this.active + this.waiting.length + this.sent;
    const busy = this.active + this.waiting.length > 0;
    const out = this.pictures.filter((each) => each.left_out).length;
    this.progress.hidden = !busy;
    this.progress.max = Math.max(1, all);
    this.progress.value = this.sent;
    fill(this.tally, busy ? t("{done} of {all} sent", { done: this.sent, all }) : `${plural(this.pictures.length, "picture")}${out ? `, ${t("{number} left out", { number: out })}` : ""}`);
  }

  draw() {
    this.count();
    // The small pictures go from the old tiles to the new.
    unlessPressed(this.root, () => this.drawAll());
  }

  drawAll() {
    const number = (name) => this.pictures.filter(FILTERS[name][1]).length;
    fill(this.filters, this.pictures.length > 0 && Object.entries(FILTERS).filter(([name]) => name === "all" || number(name) || name === this.filter).map(([name, [word]]) => h("button", { class: "chip", type: "button", "aria-pressed": String(name === this.filter), onclick: () => { this.filter = name; this.shown = SHOWN; this.draw(); } }, `${word} ${number(name)}`)));
    const chosen = this.pictures.filter(FILTERS[this.filter][1]);
    fill(this.tools, may("review") && this.bulk(chosen));
    fill(this.list, chosen.slice(0, this.shown).map((each) => this.tile(each)));
    fill(this.more, chosen.length > this.shown && h("button", { class: "button", type: "button", onclick: () => { this.shown += SHOWN; this.draw(); } }, t("Show more")));
  }

  /** What can be done with all that are shown. */
  bulk(chosen) {
    const button = (word, pictures, leftOut) => pictures.length > 0 && h("button", { class: "button", type: "button", onclick: () => void this.leaveOut(pictures, leftOut) }, word);
    if (this.filter === "copies") {
      const seen = new Set(chosen.filter((each) => each.left_out === false).map((each) => each.copies));
      const extra = chosen.filter((each) => !each.left_out && !seen.delete(each.copies));
      return button(t("Leave out all but one of each group"), extra, true);
    }
    if (this.filter === "out") return button(t("Take all in again"), chosen, false);
    if (this.filter === "all") return null;
    return button(t("Leave all of these out"), chosen.filter((each) => !each.left_out), true);
  }

  tile(each) {
    const marks = [
      each.copies !== null && t("copy, group {number}", { number: each.copies }),
      each.unusual_size && `${each.width} × ${each.height}`,
      each.deviations !== null && t("strange, {deviations} σ", { deviations: localized(each.deviations.toFixed(1)) }),
    ].filter(Boolean);
    const name = each.filename || t("(unnamed image)");
    const toggle = h(
      "button", { class: "tile-button", type: "button", disabled: !may("review"), "aria-pressed": String(each.left_out), "aria-label": t("Leave out {name}", { name }), title: name, onclick: () => void this.leaveOut([each], !each.left_out), onkeydown: step },
      this.thumb(each), each.left_out && h("span", { class: "tile-out" }, icon("defective"), t("Left out")),
    );
    return h(
      "li", { class: `wall-tile${each.left_out ? " wall-tile-out" : ""}`, "data-picture": each.sha256 },
      toggle, marks.length > 0 && h("span", { class: "tile-marks" }, marks.map((mark) => h("span", { class: "tile-mark" }, mark))),
      h("button", { class: "tile-look", type: "button", "aria-label": t("Look at {name}", { name }), onclick: () => this.look(each) }, icon("zoom")),
    );
  }

  /** The small picture, which stays when the wall is drawn anew. */
  thumb(each) {
    if (!this.thumbs.has(each.sha256)) this.thumbs.set(each.sha256, thumbnail(each));
    return this.thumbs.get(each.sha256);
  }

  async leaveOut(pictures, leftOut) {
    const focused = document.activeElement?.closest?.("[data-picture]")?.dataset.picture;
    try {
      this.take(await api.leaveOut(this.product, pictures.map((each) => each.sha256), leftOut));
      fill(this.problem);
      if (focused) this.list.querySelector(`[data-picture="${focused}"] .tile-button`)?.focus();
    } catch (error) {
      fill(this.problem, notice("error", error.message));
    }
  }

  look(each) {
    const name = each.filename || t("(unnamed image)");
    const ending = new AbortController();
    const message = h("div");
    const close = h("button", { class: "button", type: "button", onclick: () => dialog.close() }, t("Close"));
    const remove = h("button", { class: "button", type: "button", disabled: !may("admin"), onclick: async () => {
      try {
        await api.removePicture(this.product, each.sha256);
        dialog.close();
        await this.load();
      } catch (error) {
        fill(message, notice("error", error.message));
      }
    } }, t("Remove for good"));
    const dialog = h(
      "dialog", { class: "dialog dialog-wide", "aria-label": name }, h("h2", { class: "break" }, name),
      pictureWithMaps(each, null, ending.signal), message, h("div", { class: "row" }, close, remove),
    );
    dialog.addEventListener("close", () => { ending.abort(); dialog.remove(); });
    document.body.append(dialog);
    dialog.showModal();
  }
}

/** The arrow keys go through the wall. */
function step(event) {
  const way = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
  if (!way) return;
  event.preventDefault();
  event.currentTarget.parentElement[way]?.querySelector(".tile-button")?.focus();
}
