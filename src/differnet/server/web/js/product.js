/** One product: its pictures, what matters, training, versions, who did what. */
import { api } from "./api.js";
import { Collect } from "./collect.js";
import { announce, field, fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { JobBar, duration, kindOfJob } from "./job.js";
import { localized, said, spoken, t } from "./locale.js";
import { Region } from "./region.js";
import { may, refusal } from "./session.js";
import { Versions } from "./versions.js";
import { Wall } from "./wall.js";
import { moment, plural } from "./words.js";

const BUSY_EVERY = 1000;
const IDLE_EVERY = 5000;
const WALL_EVERY = 5000;
const ACTIONS = {
  create: t("made the product"),
  choose: t("changed what matters"),
  "add pictures": t("added pictures"),
  collect: t("began to take pictures"),
  collected: t("took pictures"),
  "leave out": t("left pictures out"),
  "take in": t("took pictures in again"),
  "remove picture": t("removed a picture"),
  train: t("began a training"),
  cancel: t("cancelled"),
  export: t("exported a version"),
  "remove version": t("removed a version"),
  release: t("put a version into service"),
  "roll back": t("took a version back"),
};

export async function openProduct(place, { id, signal }) {
  await new Product(place, id, signal).open();
}

class Product {
  constructor(place, id, signal) {
    Object.assign(this, { place, id, signal });
    this.pictures = [];
    this.saving = Promise.resolve();
    this.drawn = "";
    this.problem = h("div");
    this.title = h("h1", { class: "break" });
    this.state = h("p", {});
    this.trainPlace = h("div", { class: "stack" });
    this.bars = new Map();
    this.refused = h("div");
    this.history = h("ol", { class: "history small" });
    this.collect = may("admin") ? new Collect(id, signal, async () => { await this.refresh(); await this.wall.load(); }) : null;
    this.wall = new Wall(id, signal, (pictures) => this.onPictures(pictures), this.collect?.root);
    this.versions = new Versions(id, signal, { refresh: () => this.refresh(), reloadPictures: () => this.wall.load() });
  }

  async open() {
    this.product = await api.product(this.id, this.signal);
    fill(
      this.place,
      h("div", { class: "view-head" }, h("div", {}, this.title, this.state), h("a", { class: "button", href: "#/products" }, icon("left"), t("All products"))),
      this.problem,
      h("div", { class: "product-grid" }, this.wall.root, h("div", { class: "stack" }, this.choices(), h("section", { class: "panel stack", "aria-label": t("Training") }, h("h2", {}, t("Training")), this.trainPlace, this.refused))),
      this.versions.root,
      h("details", { class: "panel product-more", ontoggle: () => void this.loadHistory() }, h("summary", {}, t("Who did what")), this.history, h("div", { class: "row" }, this.removal())),
    );
    this.draw();
    await Promise.all([this.wall.load(), this.collect?.load()]);
    this.later();
  }

  later() {
    const wait = this.product.active || this.product.collection?.state === "running" ? BUSY_EVERY : IDLE_EVERY;
    const timer = setTimeout(async () => {
      if (!document.hidden) await this.refresh();
      if (!this.signal.aborted) this.later();
    }, wait);
    this.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  async refresh() {
    try {
      const before = this.product;
      this.product = await api.product(this.id, this.signal);
      fill(this.problem);
      this.draw();
      // All pictures are compared with each other for it: while many come, now and then will do.
      const coming = this.product.collection?.state === "running";
      if (this.product.pictures !== this.shown && (!coming || Date.now() - this.shownAt > WALL_EVERY)) {
        Object.assign(this, { shown: this.product.pictures, shownAt: Date.now() });
        await this.wall.load();
      }
      if (before.versions !== this.product.versions) {
        announce(t("Version {number} is trained.", { number: this.product.versions_list[0]?.number ?? "" }));
        await this.wall.load();
      }
    } catch (error) {
      if (!this.signal.aborted) fill(this.problem, notice("error", error.message));
    }
  }

  /** Draw what the service says; what somebody is typing in stays. */
  draw() {
    const { product } = this;
    const now = JSON.stringify({ ...product, usable: this.usable() });
    if (now === this.drawn) return;
    this.drawn = now;
    document.title = `${product.name} - ${t("differnet inspection station")}`;
    fill(this.title, product.name);
    const served = product.in_service;
    fill(this.state, !served ? t("Nothing of it is in service yet.") : served.version === null ? t("In service is a model that was not trained here.") : t("In service: version {number}{more}.", { number: served.version, more: served.recalibrated ? t(", calibrated anew since") : "" }));
    this.collect?.draw(product.collection);
    this.drawTraining();
    this.versions.draw(product);
  }

  onPictures(pictures) {
    Object.assign(this, { pictures, shown: pictures.length, shownAt: Date.now() });
    const sizes = new Map();
    for (const each of pictures) sizes.set(`${each.width} ${each.height}`, (sizes.get(`${each.width} ${each.height}`) ?? 0) + 1);
    const most = [...sizes].sort((a, b) => b[1] - a[1])[0]?.[0];
    this.region.show(pictures.find((each) => !each.left_out && `${each.width} ${each.height}` === most)).catch(() => {});
    this.draw();
  }

  choices() {
    const { choices } = this.product;
    const enabled = may("admin");
    this.rate = h("input", { class: "input", type: "text", inputmode: "decimal", autocomplete: "off", disabled: !enabled, value: localized(String(Number((100 * choices.false_reject_rate).toPrecision(6)))) });
    this.preset = h("select", { class: "select", disabled: !enabled }, h("option", { value: "default" }, t("Thorough, for parts that vary")), h("option", { value: "fast" }, t("Quick, for parts that hardly vary")));
    this.views = h("select", { class: "select", disabled: !enabled }, h("option", { value: "auto" }, t("Find out from the pictures")), h("option", { value: "none" }, t("Always the same way")), h("option", { value: "right-angles" }, t("At any angle")));
    this.preset.value = choices.preset;
    this.views.value = choices.views;
    this.region = new Region(() => void this.save(), enabled);
    this.region.set(choices.region);
    this.saved = h("div", { role: "status" });
    for (const input of [this.rate, this.preset, this.views]) input.addEventListener("change", () => void this.save());
    h("div", { class: "unit" }, this.rate, h("span", { "aria-hidden": "true" }, "%"));
    return h(
      "form", { class: "panel stack", "aria-label": t("What matters"), onsubmit: (event) => event.preventDefault() }, h("h2", {}, t("What matters")),
      field(t("Good parts that may be rejected"), this.rate, t("1 % takes 99 good pictures, 5 % takes 19.")), field(t("Kind of training"), this.preset, t("Quick takes a minute or a few, thorough minutes to hours.")), field(t("Parts lie"), this.views), this.region.root, this.saved,
      !enabled && notice("info", refusal("admin")),
    );
  }

  /** Keep what was chosen; a training waits for it. */
  async save() {
    fill(this.saved);
    const saving = this.keep(this.saving);
    this.saving = saving;
    // Nothing is said of it once something else was chosen: that is not known yet.
    const say = (said) => { if (this.saving === saving) fill(this.saved, said); };
    try {
      await saving;
      say(h("p", { class: "small muted" }, t("Kept for the next training.")));
      await this.wall.load();
    } catch (error) {
      say(notice("error", error.message));
    }
  }

  /** One after the other: what was chosen last is to arrive last. */
  async keep(before) {
    const choices = this.chosen();
    await before.catch(() => {});
    this.product = await api.choose(this.id, choices);
  }

  chosen() {
    const rate = Number((Number(this.rate.value.trim().replace(",", ".")) / 100).toPrecision(12));
    if (!(rate >= 0.001 && rate <= 0.5)) throw new Error(t("The share must lie between 0.1 and 50 %, for instance 5."));
    return { region: this.region.value, false_reject_rate: rate, preset: this.preset.value, views: this.views.value };
  }

  usable() {
    return this.pictures.filter((each) => !each.left_out).length;
  }

  drawTraining() {
    const { product } = this;
    const usable = this.usable();
    const missing = product.pictures_needed - usable;
    const jobs = product.jobs.filter((job) => job.state === "queued" || job.state === "running");
    const last = product.jobs.find((job) => job.state === "failed" || job.state === "cancelled" || job.state === "done");
    const busy = jobs.some((job) => job.kind === "train");
    for (const job of jobs) this.bars.get(job.id)?.show(job);
    const shape = JSON.stringify([jobs.map((job) => job.id), usable, missing, last?.id, last?.state]);
    if (shape === this.shape) return;
    this.shape = shape;
    fill(this.refused);
    this.bars = new Map(jobs.map((job) => [job.id, this.bars.get(job.id) ?? new JobBar(job, may("admin") ? () => void this.cancel(job) : null)]));
    const button = h("button", { class: "button button-primary", type: "button", disabled: !may("admin") || missing > 0 || busy, onclick: () => void this.train(button) }, t("Train a new version"));
    fill(
      this.trainPlace,
      [...this.bars.values()].map((bar) => bar.root),
      !busy && (missing > 0 ? notice("info", t("{pictures} to learn from; {missing} more are needed, or a higher share of rejected good parts.", { pictures: plural(usable, "picture"), missing })) : h("p", {}, t("{pictures} to learn from.", { pictures: plural(usable, "picture") }))),
      h("div", { class: "row" }, button),
      h("p", { class: "small muted" }, t("It goes on while you do other things, also when this page is closed, and takes up again after a restart. Inspections go first.")),
      !jobs.length && last?.state === "failed" && notice("error", h("p", {}, t("{kind} failed:", { kind: kindOfJob(last) }), " ", h("span", spoken(last.error ?? ""), said(last.error)))),
      !jobs.length && last?.state === "cancelled" && notice("info", t("{kind} was cancelled; nothing was changed.", { kind: kindOfJob(last) })),
      !jobs.length && last?.state === "done" && last.kind === "train" && last.result && h("p", { class: "small" }, t("Version {number} was trained in {time}.", { number: last.result.version, time: duration((new Date(last.ended) - new Date(last.started)) / 1000) })),
    );
  }

  async train(button) {
    button.disabled = true;
    await this.doing(async () => {
      await this.saving.catch(() => this.save());
      await this.saving;
      await api.train(this.id);
    });
  }

  async cancel(job) {
    await this.doing(() => api.cancelJob(job.id));
  }

  async doing(what) {
    try {
      await what();
      Object.assign(this, { drawn: "", shape: "" });
      await this.refresh();
    } catch (error) {
      Object.assign(this, { drawn: "", shape: "" });
      this.draw();
      fill(this.refused, notice("error", error.message));
    }
  }

  async loadHistory() {
    try {
      const entries = await api.history(this.id, this.signal);
      fill(this.history, entries.map((entry) => h("li", {}, `${moment(entry.created)}: ${entry.key_name ?? entry.key ?? t("somebody at this computer")} ${ACTIONS[entry.action] ?? entry.action}${detail(entry.about)}`)));
    } catch (error) {
      if (!this.signal.aborted) fill(this.problem, notice("error", error.message));
    }
  }

  removal() {
    const sure = h("div", { class: "row" });
    const ask = h("button", { class: "button", type: "button", disabled: !may("admin"), onclick: () => {
      fill(sure, h("p", {}, t("Its pictures and versions are removed for good; a model in service stays there.")), h("button", { class: "button", type: "button", onclick: async () => {
        try {
          await api.removeProduct(this.id);
          location.hash = "#/products";
        } catch (error) {
          fill(sure, notice("error", error.message));
        }
      } }, t("Yes, remove it")), h("button", { class: "button", type: "button", onclick: () => fill(sure) }, t("Discard")));
    } }, t("Remove this product …"));
    return [ask, sure];
  }
}

function detail(about) {
  if (about.version) return ` (${about.version})`;
  if (about.pictures) return ` (${about.pictures})`;
  return "";
}
