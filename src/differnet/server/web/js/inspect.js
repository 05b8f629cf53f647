/** Inspect: choose a model, drop images, see their verdicts. */
import { api } from "./api.js";
import { announce, field, fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { modelSelect, noModels, usable } from "./model_select.js";
import { picture, thumbnail } from "./picture.js";
import { badge, verdictPanel } from "./verdict.js";
import { DECISIONS, number, plural } from "./words.js";

const AT_ONCE = 3;
const PATIENCE = 20;
const KINDS = "image/*,.png,.jpg,.jpeg,.bmp,.tif,.tiff,.webp";

// Results outlive the view, so that a look at another tab neither loses nor stops them.
const items = [];
let selected = null;

export async function openInspect(place, { signal }) {
  const models = usable(await api.models(signal));
  fill(place, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Inspect"), h("p", {}, "Drop photographs of parts. Each gets a verdict, and a map of what is strange about it."))));
  if (!models.length) {
    place.append(noModels());
    return;
  }
  const select = modelSelect(models);
  const list = h("ol", { class: "results", "aria-label": "Images" });
  const tally = h("p", { class: "tally" });
  const progress = h("progress", { class: "progress", max: 1, value: 0, "aria-label": "Images inspected", hidden: true });
  const clear = h("button", { class: "button button-plain", type: "button" }, "Clear the list");
  const detail = h("div", { class: "inspect-detail stack" });
  const resultsPanel = h("section", { class: "panel results-panel", "aria-label": "Results" }, h("div", { class: "panel-head" }, h("h2", {}, "Images"), clear), tally, progress, list);
  run.attach({ list, tally, progress, detail, resultsPanel, signal, model: () => select.value });
  clear.addEventListener("click", () => run.clear());
  const drop = dropZone((files) => run.add(files), signal);
  place.append(h(
    "div", { class: "inspect-grid" },
    h("div", { class: "inspect-side stack" }, h("section", { class: "panel stack", "aria-label": "Add images" }, field("Model", select), drop), resultsPanel),
    detail,
  ));
  run.show();
}

/** The place to drop images on; a button for the keyboard, and pasting from the clipboard. */
function dropZone(take, signal) {
  const input = h("input", { type: "file", accept: KINDS, multiple: true, class: "unseen", id: "files", tabindex: "-1", "aria-label": "Image files" });
  const button = h("button", { class: "button button-primary", type: "button", onclick: () => input.click() }, icon("upload"), "Choose images");
  const zone = h("div", { class: "drop" }, h("p", { class: "drop-title" }, "Drop images here"), h("p", { class: "small muted" }, "PNG, JPEG, BMP, TIFF or WebP"), button, input);
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  const over = (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    zone.classList.add("drop-over");
  };
  // The whole window takes files: one that misses the zone would otherwise replace the page.
  window.addEventListener("dragover", over, { signal });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("drop-over"); }, { signal });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("drop-over");
    take([...(event.dataTransfer?.files ?? [])]);
  }, { signal });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  }, { signal });
  return zone;
}

/** The list of images, and the requests that fill it, a few at a time. */
class Run {
  constructor() {
    this.active = 0;
    this.added = 0;
  }

  /** Show everything in the elements of a freshly opened view. */
  attach(parts) {
    Object.assign(this, parts);
  }

  add(files) {
    if (!files.length) return;
    const model = this.model();
    const fresh = files.map((file) => ({ file, name: file.name || "pasted image", model, state: "waiting", inspection: null, error: null }));
    items.unshift(...fresh);
    [selected] = fresh;
    this.added += files.length;
    announce(`${plural(files.length, "image")} added.`);
    this.show();
    this.pump();
  }

  pump() {
    while (this.active < AT_ONCE) {
      const next = items.find((item) => item.state === "waiting");
      if (!next) return;
      next.state = "running";
      this.active += 1;
      void this.inspect(next).finally(() => {
        this.active -= 1;
        this.pump();
      });
    }
  }

  async inspect(item) {
    try {
      item.inspection = await patiently(() => api.inspect(item.model, item.file));
      item.state = "done";
    } catch (error) {
      item.error = error.message;
      item.state = "failed";
    }
    item.file = null;
    this.show(item);
    this.tell(item);
  }

  /** Read out the verdict; of several images, how they came out once all are done. */
  tell(last) {
    if (items.some((item) => item.state === "waiting" || item.state === "running")) return;
    if (this.added > 1) announce(`${this.tally.textContent}.`);
    else if (last.inspection) announce(`${last.name}: ${DECISIONS[last.inspection.decision ?? "none"].word}, score ${number(last.inspection.score)}.`);
    else announce(`${last.name}: could not be inspected. ${last.error}`);
    this.added = 0;
  }

  clear() {
    for (let i = items.length - 1; i >= 0; i -= 1) if (items[i].state !== "running") items.splice(i, 1);
    selected = items[0] ?? null;
    this.show();
  }

  /** Draw what changed: the whole list, or one item of it. */
  show(changed = null) {
    this.resultsPanel.hidden = items.length === 0;
    if (changed?.button?.isConnected) changed.button.replaceWith(this.entry(changed));
    else fill(this.list, items.map((item) => h("li", {}, this.entry(item))));
    this.count();
    if (!changed || changed === selected) this.showSelected();
  }

  count() {
    const done = items.filter((item) => item.state === "done" || item.state === "failed").length;
    const of = (decision) => items.filter((item) => item.inspection?.decision === decision).length;
    const failed = items.filter((item) => item.state === "failed").length;
    const said = ["accept", "review", "reject"].map((decision) => `${of(decision)} ${decision}`);
    if (failed) said.push(`${failed} failed`);
    fill(this.tally, `${plural(items.length, "image")}: ${said.join(", ")}`);
    this.progress.hidden = done === items.length;
    this.progress.max = Math.max(1, items.length);
    this.progress.value = done;
  }

  entry(item) {
    const { inspection } = item;
    const state = inspection ? badge(inspection.decision) : item.state === "failed" ? h("span", { class: "badge" }, icon("failed"), "Failed") : h("span", { class: "badge badge-busy" }, item.state === "running" ? "Inspecting …" : "Waiting …");
    item.button = h(
      "button", { class: "result", type: "button", "aria-current": item === selected ? "true" : null, onclick: () => this.select(item), onkeydown: step },
      inspection ? thumbnail(inspection) : h("span", { class: "thumb" }),
      h("span", { class: "result-name break" }, item.name), state,
      inspection && h("span", { class: "result-score number small muted" }, `score ${number(inspection.score)}`),
    );
    return item.button;
  }

  select(item) {
    const before = selected;
    selected = item;
    before?.button?.removeAttribute("aria-current");
    item.button.setAttribute("aria-current", "true");
    this.showSelected();
  }

  showSelected() {
    const item = selected;
    if (!item) {
      fill(this.detail, h("div", { class: "empty empty-tall" }, icon("frame"), h("strong", {}, "No image yet"), h("p", {}, "The verdict and the picture appear here.")));
    } else if (item.state === "failed") {
      fill(this.detail, h("section", { class: "panel stack" }, h("h2", { class: "break" }, item.name), notice("error", item.error)));
    } else if (!item.inspection) {
      fill(this.detail, h("section", { class: "panel stack" }, h("h2", { class: "break" }, item.name), h("p", { class: "muted" }, "Inspecting …")));
    } else {
      fill(this.detail, h("div", { class: "panel picture-panel" }, h("h2", { class: "break" }, item.name), picture(item.inspection, this.signal)), h("div", { class: "panel" }, verdictPanel(item.inspection, { signal: this.signal })));
    }
  }
}

const run = new Run();

/** Up and down go through the list. */
function step(event) {
  const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!way) return;
  event.preventDefault();
  event.currentTarget.parentElement[way]?.querySelector("button")?.focus();
}

/** A full queue is waited for as long as the service says. */
async function patiently(call) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 503 || attempt >= PATIENCE) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * Math.min(30, Math.max(0.5, error.retryAfter ?? 2))); });
    }
  }
}
