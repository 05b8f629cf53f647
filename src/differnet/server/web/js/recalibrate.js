/** Recalibrate: another threshold from parts reviewed as good; first a preview, then into use. */
import { api } from "./api.js";
import { announce, field, fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { said, spoken, t } from "./locale.js";
import { modelSelect, noModels, usable } from "./model_select.js";
import { patiently } from "./patience.js";
import { forgetPictures } from "./picture.js";
import { scoreScale } from "./score_scale.js";
import { may, refusal } from "./session.js";
import { forgetModels } from "./verdict.js";
import { count, number, percent, plural } from "./words.js";

export async function openRecalibrate(place, { signal, parameters }) {
  const models = usable(await api.models(signal));
  const head = h("div", { class: "view-head" }, h("div", {}, h("h1", {}, t("Recalibrate")), h("p", {}, t("Sets another threshold from the parts that were reviewed as good. The model itself stays as it is."))), h("a", { class: "button", href: "#/review" }, icon("left"), t("Back to review")));
  if (!models.length) {
    fill(place, head, noModels());
    return;
  }
  const preview = h("div", { class: "stack", "aria-live": "polite" });
  const form = new Wish(models, parameters.get("model"), preview, signal);
  fill(place, head, h("div", { class: "calibrate-grid" }, form.element, preview));
  form.explain();
}

/** What is asked for, and the preview of it. */
class Wish {
  constructor(models, wanted, preview, signal) {
    this.models = models;
    this.preview = preview;
    this.signal = signal;
    const changed = () => this.explain();
    this.model = modelSelect(models, { wanted, onchange: () => this.takeOver() });
    this.rejectRate = percentInput({ required: true, onchange: changed, oninput: changed });
    this.reviewRate = percentInput({ onchange: changed, oninput: changed });
    this.training = h("input", { type: "checkbox", onchange: changed });
    this.enough = h("p", { class: "small" });
    this.ask = h("button", { class: "button button-primary", type: "submit", disabled: !may("admin") }, t("Preview"));
    this.element = h(
      "form", { class: "panel stack", novalidate: true, onsubmit: (event) => { event.preventDefault(); void this.showPreview(); } },
      field(t("Model"), this.model),
      field(t("False rejects"), withUnit(this.rejectRate), t("Share of good parts that may be rejected.")),
      field(t("Review"), withUnit(this.reviewRate), t("Share of good parts that may be rejected or sent to review, above the first; empty for no review.")),
      h("label", { class: "check" }, this.training, h("span", {}, t("Also use the scores that the model was calibrated by so far"))),
      this.enough,
      this.ask,
      !may("admin") && notice("info", refusal("admin")),
    );
    this.takeOver();
  }

  card() {
    return this.models.find((model) => model.name === this.model.value);
  }

  /** Start from the rates that the model has. */
  takeOver() {
    const { calibration } = this.card();
    this.rejectRate.value = calibration ? asPercent(calibration.false_reject_rate) : "5";
    this.reviewRate.value = calibration?.review_rate ? asPercent(calibration.review_rate) : "";
    this.details = null;
    void this.lookUp(this.model.value);
    this.explain();
  }

  /** How many parts there are to do it with. */
  async lookUp(name) {
    try {
      const details = await api.model(name, this.signal);
      if (name !== this.model.value) return;
      this.details = details;
      this.sayEnough();
    } catch {
      // The preview says what is wrong.
    }
  }

  sayEnough() {
    const { false_reject_rate: reject, review_rate: review } = this.wish(true);
    const rate = review === null ? reject : Math.min(reject, review);
    if (!this.details || !(rate > 0 && rate < 1)) {
      fill(this.enough);
      return;
    }
    const there = this.details.reviewed_good + (this.training.checked ? this.details.held_out_scores.length : 0);
    const needed = Math.ceil(1 / rate - 1e-9) - 1;
    const said = t("{parts} reviewed as good; {rate} takes {needed}.", { parts: plural(this.details.reviewed_good, "part"), rate: percent(rate), needed: count(needed) });
    fill(this.enough, there >= needed ? `${said} ${t("That is enough.")}` : `${said} ${t("Review {more} more, or allow a higher share.", { more: count(needed - there) })}`);
  }

  /** A preview holds for what it was asked with, and goes when that changes. */
  explain() {
    this.asking?.abort();
    this.sayEnough();
    fill(this.preview, h("div", { class: "empty" }, h("strong", {}, t("Nothing is changed yet")), h("p", {}, t("The preview shows the new threshold and how past decisions would change. It goes into use only when you confirm it."))));
  }

  wish(dryRun) {
    const share = (input) => (input.value.trim() === "" ? null : Number((Number(input.value.replace(",", ".")) / 100).toPrecision(12)));
    return { false_reject_rate: share(this.rejectRate), review_rate: share(this.reviewRate), dry_run: dryRun, include_training: this.training.checked };
  }

  complaint({ false_reject_rate: reject, review_rate: review }) {
    const within = (rate) => rate > 0 && rate < 1;
    if (!within(reject)) return t("The share of false rejects must lie between 0 and 100 %, for instance 5.");
    if (review !== null && !within(review)) return t("The review share must lie between 0 and 100 %, or be left empty.");
    if (review !== null && review <= reject) return t("The review share must exceed that of false rejects, for it includes them.");
    return null;
  }

  async showPreview() {
    const wish = this.wish(true);
    const complaint = this.complaint(wish);
    if (complaint) {
      fill(this.preview, notice("error", complaint));
      return;
    }
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.signal.addEventListener("abort", () => this.asking.abort(), { once: true });
    fill(this.preview, h("p", { class: "waiting" }, t("Working out the preview …")));
    try {
      const name = this.model.value;
      const told = (message) => { if (!signal.aborted) fill(this.preview, h("p", { class: "waiting" }, message)); };
      const calibrated = patiently(() => api.calibrate(name, wish), { signal, told, attempts: Infinity });
      const [answer, card] = await Promise.all([calibrated, api.model(name, signal)]);
      if (signal.aborted) return;
      const confirm = h("button", { class: "button button-primary", type: "button", onclick: () => void this.confirm(name, confirm) }, t("Put the new threshold into use for {model}", { model: name }));
      fill(this.preview, result(answer, card, wish.include_training), h("div", { class: "row" }, confirm, h("button", { class: "button", type: "button", onclick: () => this.explain() }, t("Discard"))));
    } catch (error) {
      if (!signal.aborted) fill(this.preview, notice("error", error.message));
    }
  }

  async confirm(name, button) {
    button.disabled = true;
    try {
      const wish = this.wish(false);
      const answer = await patiently(() => api.calibrate(name, wish), { signal: this.signal });
      forgetModels();
      forgetPictures();
      const said = t("The new threshold, {value}, is in use for {model}.", { value: number(answer.new.threshold), model: name });
      fill(this.preview, notice("good", said), result(answer, null, wish.include_training));
      announce(said);
    } catch (error) {
      button.disabled = false;
      this.preview.prepend(notice("error", error.message));
    }
  }
}

function percentInput(attributes) {
  return h("input", { class: "input", type: "text", inputmode: "decimal", autocomplete: "off", ...attributes });
}

function withUnit(input) {
  h("div", { class: "unit" }, input, h("span", { "aria-hidden": "true" }, "%"));
  return input;
}

function asPercent(rate) {
  return String(Number((100 * rate).toPrecision(6)));
}

function result(answer, card, withTraining) {
  const { old, new: fresh, decisions } = answer;
  const marks = [];
  if (old) marks.push({ value: old.threshold, label: t("old {value}", { value: number(old.threshold) }), kind: "old" });
  if (fresh.review_threshold !== null && fresh.review_threshold !== undefined && fresh.review_threshold < fresh.threshold) marks.push({ value: fresh.review_threshold, label: t("new review {value}", { value: number(fresh.review_threshold) }), kind: "review" });
  marks.push({ value: fresh.threshold, label: t("new {value}", { value: number(fresh.threshold) }), kind: "reject" });
  return h(
    "section", { class: "panel stack", "aria-label": answer.dry_run ? t("Preview") : t("Result") },
    h("h2", {}, answer.dry_run ? t("Preview") : t("What has changed")),
    h("p", {}, t("From {images} reviewed as good{more}. {comparison}", { images: plural(answer.images, "image"), more: withTraining ? t(", and the scores so far") : "", comparison: comparison(old, fresh) })),
    answer.warning && notice("warning", h("span", spoken(answer.warning), said(answer.warning))),
    scoreScale({ held: card?.held_out_scores ?? [], calibration: fresh, marks }),
    card && h("p", { class: "small muted" }, t("Bars: scores that the present threshold comes from.")),
    h("p", { class: "small muted" }, certainty(fresh)),
    changes(decisions),
  );
}

function comparison(old, fresh) {
  if (!old) return t("The model gets the threshold {value}.", { value: number(fresh.threshold) });
  const way = fresh.threshold > old.threshold ? t("rises: fewer parts are rejected") : fresh.threshold < old.threshold ? t("falls: more parts are rejected") : t("stays");
  return t("The threshold {way} ({old} → {new}).", { way, old: number(old.threshold), new: number(fresh.threshold) });
}

function certainty(fresh) {
  if (!fresh.rate_interval) return t("Stated rate of false rejects: {rate}.", { rate: percent(fresh.false_reject_rate) });
  const [low, high] = fresh.rate_interval;
  return t("Stated rate of false rejects: {rate}. With so many images the true rate lies between {low} and {high} (95 % interval), if they are a random sample.", { rate: percent(fresh.false_reject_rate), low: percent(low), high: percent(high) });
}

/** Past decisions, before and after. */
function changes({ before, after, changed }) {
  const kinds = [["accept", t("Accept")], ["review", t("Review")], ["reject", t("Reject")]];
  const difference = (kind) => {
    const d = after[kind] - before[kind];
    return d === 0 ? "0" : `${d > 0 ? "+" : "−"}${count(Math.abs(d))}`;
  };
  return h(
    "table", { class: "table" },
    h("caption", {}, changed ? t("{decisions} would be another.", { decisions: plural(changed, "past decision") }) : t("No past decision would be another.")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("Decision")), [t("Before"), t("After"), t("Change")].map((word) => h("th", { scope: "col", class: "right" }, word)))),
    h("tbody", {}, kinds.map(([kind, word]) => h(
      "tr", {}, h("th", { scope: "row" }, h("span", { class: `badge badge-${kind}` }, icon(kind), word)),
      [count(before[kind]), count(after[kind]), difference(kind)].map((value) => h("td", { class: "right number" }, value)),
    ))),
  );
}
