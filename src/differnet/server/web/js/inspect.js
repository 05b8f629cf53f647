/** Inspect: choose a model, drop images, see their verdicts. */
import { api } from "./api.js";
import { announce, field, fill, h, notice } from "./dom.js";
import { dropZone } from "./drop_zone.js";
import { icon } from "./icons.js";
import { cameraInspection } from "./inspect_camera.js";
import { modelSelect, noModels, usable } from "./model_select.js";
import { patiently } from "./patience.js";
import { picture, thumbnail } from "./picture.js";
import { badge, verdictPanel } from "./verdict.js";
import { LOCALE, t } from "./locale.js";
import { saveFile } from "./save.js";
import { DECISIONS, fileNameOf, number, plural } from "./words.js";

const AT_ONCE = 3;
// Of a list that a camera fills for hours.
const MOST = 500;
const NARROW = window.matchMedia("(max-width: 700px)");

// Results outlive the view, so that a look at another tab neither loses nor stops them.
const items = [];
let selected = null;

export async function openInspect(place, { signal }) {
  const models = usable(await api.models(signal));
  fill(place, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, t("Inspect")), h("p", {}, t("Drop photographs of parts. Each gets a verdict, and a map of what is strange about it.")))));
  if (!models.length) {
    place.append(noModels());
    return;
  }
  const select = modelSelect(models);
  const list = h("ol", { class: "results", "aria-label": t("Images") });
  const tally = h("p", { class: "tally" });
  const progress = h("progress", { class: "progress", max: 1, value: 0, "aria-label": t("Images inspected"), hidden: true });
  const clear = h("button", { class: "button button-plain", type: "button" }, t("Clear the list"));
  const detail = h("div", { class: "inspect-detail stack" });
  const shown = h("select", { class: "select", "aria-label": t("Show"), onchange: () => run.show() }, [["", t("All")], ...["reject", "review", "accept", "none"].map((decision) => [decision, DECISIONS[decision].word]), ["failed", t("Failed")]].map(([value, word]) => h("option", { value }, word)));
  const order = h("select", { class: "select", "aria-label": t("Order"), onchange: () => run.show() }, [["added", t("Newest first")], ["high", t("Highest score first")], ["low", t("Lowest score first")], ["name", t("By name")]].map(([value, word]) => h("option", { value }, word)));
  const save = h("button", { class: "button button-plain", type: "button", onclick: () => saveFile("verdicts.csv", "text/csv", table(items)) }, t("Save as CSV"));
  const tools = h("div", { class: "results-tools" }, shown, order);
  const resultsPanel = h("section", { class: "panel results-panel", "aria-label": t("Results") }, h("div", { class: "panel-head" }, h("h2", {}, t("Images")), clear), tally, progress, tools, list, h("div", { class: "row" }, save));
  run.attach({ shown, order, list, tally, progress, detail, resultsPanel, signal, model: () => select.value });
  clear.addEventListener("click", () => run.clear());
  const drop = dropZone((files) => run.add(files), signal);
  place.append(h(
    "div", { class: "inspect-grid" },
    h("div", { class: "inspect-side stack" }, h("section", { class: "panel stack", "aria-label": t("Add images") }, field(t("Model"), select), drop), cameraInspection((camera, how) => run.take(camera, how), signal), resultsPanel),
    detail,
  ));
  run.show();
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
    const fresh = files.map((file) => ({ file, name: file.name || t("pasted image"), model, state: "waiting", inspection: null, error: null }));
    items.unshift(...fresh);
    [selected] = fresh;
    this.added += files.length;
    announce(t("{images} added.", { images: plural(files.length, "image") }));
    this.show();
    this.pump();
  }

  /** A picture of a camera; with `orNone` only if the one before is done. */
  take(camera, { orNone = false } = {}) {
    if (orNone && items.some((item) => item.camera === camera && item.state !== "done" && item.state !== "failed")) return;
    const item = { camera, name: camera, model: this.model(), state: "waiting", inspection: null, error: null };
    // Whoever looks at an earlier one goes on looking at it.
    if (!orNone || !selected || selected === items[0]) selected = item;
    items.unshift(item);
    for (const old of items.filter((each) => each.camera && (each.state === "done" || each.state === "failed")).slice(MOST)) items.splice(items.indexOf(old), 1);
    this.added = 1;
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
      // A camera's picture is of now, or of no use.
      item.inspection = item.camera ? await api.inspectCamera(item.model, item.camera) : await patiently(() => api.inspect(item.model, item.file));
      if (item.camera) item.name = fileNameOf(item.inspection);
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
    else if (last.inspection) announce(t("{name}: {word}, score {score}.", { name: last.name, word: DECISIONS[last.inspection.decision ?? "none"].word, score: number(last.inspection.score) }));
    else announce(t("{name}: could not be inspected. {reason}", { name: last.name, reason: last.error }));
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
    const settled = this.shown.value === "" && this.order.value === "added";
    if (settled && changed?.button?.isConnected) changed.button.replaceWith(this.entry(changed));
    else fill(this.list, chosen(items, this.shown.value, this.order.value).map((item) => h("li", {}, this.entry(item))));
    this.count();
    if (!changed || changed === selected) this.showSelected();
  }

  count() {
    const done = items.filter((item) => item.state === "done" || item.state === "failed").length;
    const of = (decision) => items.filter((item) => item.inspection?.decision === decision).length;
    const failed = items.filter((item) => item.state === "failed").length;
    const said = ["accept", "review", "reject"].map((decision) => `${of(decision)} ${t(decision)}`);
    if (failed) said.push(`${failed} ${t("failed")}`);
    fill(this.tally, `${plural(items.length, "image")}: ${said.join(", ")}`);
    this.progress.hidden = done === items.length;
    this.progress.max = Math.max(1, items.length);
    this.progress.value = done;
  }

  entry(item) {
    const { inspection } = item;
    const state = inspection ? badge(inspection.decision) : item.state === "failed" ? h("span", { class: "badge" }, icon("failed"), t("Failed")) : h("span", { class: "badge badge-busy" }, item.state === "running" ? t("Inspecting …") : t("Waiting …"));
    item.button = h(
      "button", { class: "result", type: "button", "aria-current": item === selected ? "true" : null, onclick: () => this.select(item), onkeydown: step },
      inspection ? thumbnail(inspection) : h("span", { class: "thumb" }),
      h("span", { class: "result-name break" }, item.name), state,
      inspection && h("span", { class: "result-score number small muted" }, t("score {score}", { score: number(inspection.score) })),
    );
    return item.button;
  }

  select(item) {
    const before = selected;
    selected = item;
    before?.button?.removeAttribute("aria-current");
    item.button.setAttribute("aria-current", "true");
    this.showSelected();
    if (NARROW.matches) this.detail.scrollIntoView({ block: "start" });
  }

  showSelected() {
    const item = selected;
    if (!item) {
      fill(this.detail, h("div", { class: "empty empty-tall" }, icon("frame"), h("strong", {}, t("No image yet")), h("p", {}, t("The verdict and the picture appear here."))));
    } else if (item.state === "failed") {
      fill(this.detail, h("section", { class: "panel stack" }, h("h2", { class: "break" }, item.name), notice("error", item.error)));
    } else if (!item.inspection) {
      fill(this.detail, h("section", { class: "panel stack" }, h("h2", { class: "break" }, item.name), h("p", { class: "muted" }, t("Inspecting …"))));
    } else {
      fill(this.detail, h("div", { class: "panel verdict-place" }, verdictPanel(item.inspection, { signal: this.signal })), h("div", { class: "panel picture-panel" }, h("h2", { class: "break" }, item.name), picture(item.inspection, this.signal)));
    }
  }
}

const run = new Run();

const ORDERS = {
  added: () => 0,
  high: (a, b) => (b.inspection?.score ?? -Infinity) - (a.inspection?.score ?? -Infinity),
  low: (a, b) => (a.inspection?.score ?? Infinity) - (b.inspection?.score ?? Infinity),
  name: (a, b) => a.name.localeCompare(b.name, LOCALE, { numeric: true }),
};

/** The images that are to be shown, in order; those that have no verdict yet stay in sight. */
function chosen(all, wanted, order) {
  const is = (item) => (item.state === "failed" ? "failed" : item.inspection ? item.inspection.decision ?? "none" : wanted);
  return all.filter((item) => wanted === "" || is(item) === wanted).sort(ORDERS[order]);
}

const COLUMNS = ["score", "threshold", "margin", "p_value", "decision", "width", "height", "model", "model_id", "milliseconds", "unlike", "created", "id"];

/** The list as CSV, as `differnet score` writes it: points in numbers, whatever the language. */
function table(all) {
  const cell = (value) => {
    const words = value === null || value === undefined ? "" : String(value);
    // What spreadsheets would take for a formula is written as text.
    const safe = typeof value === "string" && /^[=+@\t\r-]/.test(words) ? `'${words}` : words;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const rows = all.map((item) => [item.name, ...COLUMNS.map((name) => item.inspection?.[name]), item.error]);
  return [["file", ...COLUMNS, "error"], ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Up and down go through the list. */
function step(event) {
  const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!way) return;
  event.preventDefault();
  event.currentTarget.parentElement[way]?.querySelector("button")?.focus();
}
