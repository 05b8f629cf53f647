/** Models: what is loaded, what is broken and why, each with its card and report. */
import { api, key } from "./api.js";
import { fill, h, notice } from "./dom.js";
import { icon } from "./icons.js";
import { scoreScale } from "./score_scale.js";
import { count, day, moment, number, percent, plural } from "./words.js";

const EVERY = 5000;
const SOURCES = { "held-out": "good images held out from training", "cross-fitted": "good images, each scored by models that had not seen it", images: "good images given for calibration", "by-hand": "the threshold was set by hand, no rate is promised" };

export async function openModels(place, { signal }) {
  const list = h("div", { class: "models" });
  const problem = h("div");
  fill(place, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Models"), h("p", {}, "Model files in the service's folder. A new or changed file is served without a restart."))), problem, list);
  let drawn = "";
  const refresh = async () => {
    const models = await api.models(signal);
    fill(problem);
    const now = JSON.stringify(models);
    if (now === drawn) return;
    drawn = now;
    fill(list, models.length ? models.map((model) => card(model, signal)) : h("div", { class: "empty" }, h("strong", {}, "No model is loaded"), h("p", {}, "Make one with: differnet train PRODUCT -o MODEL.safetensors")));
  };
  await refresh();
  const timer = setInterval(() => {
    if (!document.hidden) refresh().catch((error) => { if (!signal.aborted) fill(problem, notice("error", error.message)); });
  }, EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function card(model, signal) {
  const broken = model.status !== "ready";
  const state = broken ? ["reject", "Broken file"] : model.error ? ["review", "New file is broken"] : ["accept", "Ready"];
  const scale = h("div", { class: "scale" });
  if (model.calibration) {
    api.model(model.name, signal).then(
      (full) => fill(scale, scoreScale({ held: full.held_out_scores ?? [], calibration: model.calibration })),
      () => fill(scale, scoreScale({ calibration: model.calibration })),
    );
  }
  return h(
    "article", { class: "panel stack model", "aria-label": model.name },
    h("div", { class: "panel-head" }, h("h2", { class: "break" }, model.name), h("span", { class: `badge badge-${state[0]}` }, icon(state[0]), state[1])),
    (broken || model.error) && notice(broken ? "error" : "warning", h("p", {}, model.error ?? "The file cannot be read."), !broken && h("p", { class: "small" }, "The version loaded before is still served.")),
    model.calibration && scale,
    model.model_id && facts(model),
    model.model_id && !model.calibration && notice("warning", "This model has no threshold: it gives scores, but no decisions. ", h("a", { href: `#/recalibrate?model=${encodeURIComponent(model.name)}` }, "Calibrate it"), "."),
    h(
      "div", { class: "row" }, model.report_url && report(model),
      model.model_id && h("a", { class: "button", href: `#/recalibrate?model=${encodeURIComponent(model.name)}` }, "Recalibrate …"),
    ),
  );
}

function facts(model) {
  const { calibration } = model;
  const rows = [
    ["Threshold", calibration ? `${number(calibration.threshold)}${calibration.review_threshold === null ? "" : `, review from ${number(calibration.review_threshold)}`}` : "none"],
    calibration && ["False rejects", `${percent(calibration.false_reject_rate)} stated${calibration.rate_interval ? `; 95 % interval ${calibration.rate_interval.map(percent).join(" to ")}` : ""}`],
    calibration && ["Calibrated on", `${plural(calibration.images, "image")}: ${SOURCES[calibration.source] ?? calibration.source}${calibration.tail === "generalized-pareto" ? "; tail extrapolated" : ""}`],
    ["Trained on", `${plural(model.training_images, "good image")}, ${day(model.created)}`],
    ...(model.drift ? [["Since it was loaded", model.drift]] : []),
    ["Extractor", `${model.extractor}, ${imageSize(model.image_size)}, ${plural(model.views, "view")}`],
    ["Model id", model.model_id],
    ["File", model.file],
    ["Loaded", model.loaded_at ? moment(model.loaded_at) : "–"],
    ["Made by", `differnet ${model.package_version}`],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function imageSize(size) {
  return Array.isArray(size) ? `${size.join(" × ")} px` : `${count(size)} px`;
}

/** A link; where a key is needed, which links cannot carry, the report is fetched and saved as a file. */
function report(model) {
  if (!key.get()) return h("a", { class: "button", href: model.report_url, target: "_blank", rel: "noopener" }, "Open the report");
  const button = h("button", { class: "button", type: "button", onclick: async () => {
    button.disabled = true;
    try {
      const url = URL.createObjectURL(await api.report(model.name));
      h("a", { href: url, download: `${model.name}.report.html` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    } catch (error) {
      button.after(notice("error", error.message));
    } finally {
      button.disabled = false;
    }
  } }, "Save the report");
  return button;
}
