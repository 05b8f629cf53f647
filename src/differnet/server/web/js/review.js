/** Review: one refused or doubtful part after the other, judged by a person. */
import { api } from "./api.js";
import { announce, field, fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./locale.js";
import { modelSelect, noModels, usable } from "./model_select.js";
import { picture, prefetch } from "./picture.js";
import { may, refusal } from "./session.js";
import { reviewBadge, verdictPanel } from "./verdict.js";
import { REVIEWS, fileNameOf, plural } from "./words.js";

const PAGE = 50;
const AHEAD = 5;
const LOOK_AGAIN = 5000;
const KEYS = { g: "good", d: "defective", u: "unsure" };
const KEYS_OFF = "differnet-keys-off";

export async function openReview(place, { signal, parameters }) {
  const models = usable(await api.models(signal));
  if (!models.length) {
    fill(place, h("div", { class: "view-head" }, h("h1", {}, t("Review"))), noModels());
    return;
  }
  await new Queue(place, models, signal, parameters.get("model")).load(true);
}

class Queue {
  constructor(place, models, signal, wanted) {
    this.signal = signal;
    this.items = [];
    this.at = 0;
    this.past = [];
    this.busy = false;
    this.model = modelSelect(models, { wanted, all: true, onchange: () => { this.past = []; void this.load(true); } });
    this.what = h("select", { class: "select", onchange: () => { this.past = []; void this.load(true).catch((error) => this.fail(error)); } }, h("option", { value: "queue" }, t("Refused and doubtful")), h("option", { value: "sample" }, t("Accepted, drawn at random")));
    this.position = h("p", { class: "muted number" });
    this.problem = h("div");
    this.picturePlace = h("div", { class: "review-picture" });
    this.verdictPlace = h("div", { class: "review-verdict" });
    this.note = h("textarea", { class: "textarea", rows: 2, maxlength: 2000 });
    this.keys = h("input", { type: "checkbox", checked: sessionStorage.getItem(KEYS_OFF) === null, onchange: () => this.rememberKeys() });
    this.judge = Object.entries(KEYS).map(([letter, review]) => h(
      "button", { class: `button judge judge-${review}`, type: "button", "aria-keyshortcuts": letter, onclick: () => void this.decide(review) },
      icon(review), REVIEWS[review], h("kbd", { "aria-hidden": "true" }, letter.toUpperCase()),
    ));
    this.back = h("button", { class: "button", type: "button", "aria-keyshortcuts": "ArrowLeft", onclick: () => this.move(-1) }, icon("left"), h("span", { class: "wide-only" }, t("Previous")));
    this.forth = h("button", { class: "button", type: "button", "aria-keyshortcuts": "ArrowRight", onclick: () => this.move(1) }, h("span", { class: "wide-only" }, t("Next")), icon("right"));
    this.undoButton = h("button", { class: "button", type: "button", "aria-keyshortcuts": "z", onclick: () => void this.undo() }, icon("undo"), t("Undo"));
    this.work = h("div", { class: "review-grid", hidden: true }, this.picturePlace, this.side());
    this.done = h("div", { hidden: true });
    this.recalibrate = h("a", { class: "button" }, t("Recalibrate …"));
    fill(
      place,
      h("div", { class: "view-head" }, h("div", {}, h("h1", {}, t("Review")), this.position), h("div", { class: "row review-head" }, field(t("Show"), this.what), field(t("Model"), this.model), this.recalibrate)),
      this.problem, this.work, this.done,
    );
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    this.watch();
  }

  side() {
    return h(
      "div", { class: "review-side stack" },
      h(
        "div", { class: "panel review-bar" },
        h("div", { class: "judges", role: "group", "aria-label": t("Judge this part") }, this.judge),
        h("div", { class: "row review-moves" }, this.back, this.undoButton, this.forth),
        !may("review") && notice("info", refusal("review")),
      ),
      h("div", { class: "panel stack" }, this.verdictPlace, field(t("Note"), this.note, t("Kept with your judgement.")), h("label", { class: "check small" }, this.keys, h("span", {}, t("Keys: G good, D defective, U unsure, ← → move, Z undo")))),
    );
  }

  rememberKeys() {
    if (this.keys.checked) sessionStorage.removeItem(KEYS_OFF);
    else sessionStorage.setItem(KEYS_OFF, "1");
  }

  /** Fetch what waits; afresh, or in addition to what is here. */
  async load(afresh = false) {
    const of = this.what.value;
    const page = of === "sample" ? await api.sample({ model: this.model.value }, this.signal) : await api.inspections({ queue: true, model: this.model.value, limit: PAGE }, this.signal);
    if (of !== this.what.value) return;
    if (afresh) {
      this.items = [];
      this.at = 0;
    }
    const known = new Set(this.items.map((item) => item.id));
    const fresh = page.inspections.filter((inspection) => !known.has(inspection.id));
    this.items.push(...fresh);
    this.total = page.total;
    if (afresh || this.work.hidden) {
      const open = this.items.findIndex((item) => !item.review);
      this.at = open === -1 ? this.items.length : open;
      this.show();
    } else this.showPosition();
  }

  /** New parts join the queue by themselves. */
  watch() {
    const timer = setInterval(() => { if (!document.hidden && !this.busy) this.load().then(() => fill(this.problem), (error) => this.fail(error)); }, LOOK_AGAIN);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  current() {
    return this.items[this.at];
  }

  show() {
    const item = this.current();
    this.work.hidden = !item;
    this.done.hidden = Boolean(item);
    this.recalibrate.href = `#/recalibrate${this.model.value ? `?model=${encodeURIComponent(this.model.value)}` : ""}`;
    this.showPosition();
    if (!item) {
      this.showDone();
      return;
    }
    fill(this.picturePlace, h("div", { class: "panel picture-panel" }, h("div", { class: "panel-head" }, h("h2", { class: "break" }, fileNameOf(item)), reviewBadge(item.review)), picture(item, this.signal)));
    fill(this.verdictPlace, verdictPanel(item, { signal: this.signal }));
    this.note.value = item.note ?? "";
    this.enable();
    prefetch(this.items[this.at + 1]);
  }

  enable() {
    const blocked = this.busy || !may("review");
    this.judge.forEach((button) => { button.disabled = blocked; });
    this.undoButton.disabled = blocked || !this.past.length;
    this.back.disabled = this.at === 0;
    this.forth.disabled = this.at >= this.items.length - 1;
  }

  showPosition() {
    const open = Math.max(0, this.total ?? 0);
    const said = this.what.value === "sample" ? t("{parts} to look at today", { parts: plural(open, "part") }) : t("{parts} to review", { parts: plural(open, "part") });
    fill(this.position, open ? said : t("Nothing to review"));
  }

  showDone() {
    const judged = this.past.length;
    const next = this.what.value === "sample" ? t("A random sample of today's accepted parts appears here: what is found among them estimates how many defective parts escape.") : t("Parts that are rejected or to be looked at appear here by themselves.");
    fill(this.done, h(
      "div", { class: "empty empty-tall" }, icon("accept"), h("strong", {}, t("Nothing to review")),
      h("p", {}, judged ? `${t("{parts} reviewed in this sitting.", { parts: plural(judged, "part") })} ${next}` : next),
      judged > 0 && h("button", { class: "button", type: "button", onclick: () => void this.undo() }, icon("undo"), t("Undo the last one")),
    ));
  }

  async decide(review) {
    const item = this.current();
    if (!item || this.busy || !may("review")) return;
    const before = { review: item.review, note: item.note };
    await this.send(item, review, this.note.value.trim(), () => {
      this.past.push({ id: item.id, ...before });
      if (!before.review) this.total -= 1;
      announce(`${fileNameOf(item)}: ${REVIEWS[review]}.`);
      const next = this.items.findIndex((other, i) => i > this.at && !other.review);
      const earlier = this.items.findIndex((other) => !other.review);
      this.at = next !== -1 ? next : earlier !== -1 ? earlier : this.items.length;
      this.show();
      if (this.items.length - this.at < AHEAD) void this.load().catch((error) => this.fail(error));
    });
  }

  /** Back to the part judged last, with what was said of it before. */
  async undo() {
    const last = this.past.at(-1);
    if (!last || this.busy) return;
    const index = this.items.findIndex((item) => item.id === last.id);
    const item = this.items[index];
    await this.send(item, last.review, last.note, () => {
      this.past.pop();
      if (!last.review) this.total += 1;
      this.at = index;
      announce(t("Undone: {name}.", { name: fileNameOf(item) }));
      this.show();
    });
  }

  async send(item, review, note, then) {
    this.busy = true;
    this.enable();
    try {
      Object.assign(item, await api.review(item.id, review, note));
      fill(this.problem);
      this.busy = false;
      then();
    } catch (error) {
      this.busy = false;
      this.fail(error);
      this.enable();
    }
  }

  fail(error) {
    if (!this.signal.aborted && error.name !== "AbortError") fill(this.problem, notice("error", error.message));
  }

  move(step) {
    const to = this.at + step;
    if (this.busy || to < 0 || to >= this.items.length) return;
    this.at = to;
    this.show();
    announce(t("{n} of {all}: {name}.", { n: to + 1, all: this.items.length, name: fileNameOf(this.current()) }));
  }

  onKey(event) {
    if (!this.keys.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    // Where letters and arrows have a meaning of their own they keep it.
    if (event.target.closest?.("input, textarea, select, dialog, .stage")) return;
    const pressed = event.key.toLowerCase();
    const action = { arrowleft: () => this.move(-1), arrowright: () => this.move(1), z: () => void this.undo() }[pressed] ?? (KEYS[pressed] && (() => void this.decide(KEYS[pressed])));
    if (!action) return;
    event.preventDefault();
    action();
  }
}
