/** Images: thumbnails, and the large picture with heat map, slider and regions. All are fetched with the key and drawn on canvases. */
import { api } from "./api.js";
import { fill, freshId, h, s } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./locale.js";
import { patiently } from "./patience.js";
import { fileNameOf, number, plural } from "./words.js";

const LONGEST = 2400;
const KEPT = 8;
const ZOOMS = [1, 2, 4];
// Of the picture: a region's box that encloses more says little of where to look.
const LARGE = 0.1;
// What the user last chose holds for the next picture too.
const chosen = { opacity: 80, regions: true };
const bitmaps = new Map();

/** Decode a blob, no larger than a screen needs. */
async function decode(blob) {
  const whole = await createImageBitmap(blob);
  const long = Math.max(whole.width, whole.height);
  if (long <= LONGEST) return whole;
  const scale = LONGEST / long;
  const smaller = await createImageBitmap(whole, { resizeWidth: Math.max(1, Math.round(whole.width * scale)), resizeHeight: Math.max(1, Math.round(whole.height * scale)), resizeQuality: "high" });
  whole.close();
  return smaller;
}

/** Fetch and decode once; the last few are kept, so that going back is immediate. */
function bitmap(url) {
  if (!bitmaps.has(url)) {
    const loading = patiently(() => api.picture(url)).then(decode);
    loading.catch(() => bitmaps.delete(url));
    bitmaps.set(url, loading);
    if (bitmaps.size > 2 * KEPT) bitmaps.delete(bitmaps.keys().next().value);
  }
  return bitmaps.get(url);
}

/** After a recalibration heat has another scale. */
export function forgetPictures() {
  bitmaps.clear();
}

/** Load what `picture` will ask for. */
export function prefetch(inspection) {
  if (!inspection?.image_url) return;
  bitmap(api.imageUrl(inspection)).catch(() => {});
  bitmap(api.heatUrl(inspection)).catch(() => {});
}

function paint(target, image) {
  target.width = image.width;
  target.height = image.height;
  target.getContext("2d").drawImage(image, 0, 0);
}

/** A small picture, fetched when it comes into sight. The name beside it says what it is, so it is silent itself. */
export function thumbnail(inspection) {
  const target = h("canvas", { class: "thumb", width: 1, height: 1, "aria-hidden": "true" });
  if (!inspection.thumbnail_url) {
    target.classList.add("thumb-gone");
    return target;
  }
  const watcher = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    watcher.disconnect();
    try {
      paint(target, await decode(await patiently(() => api.picture(inspection.thumbnail_url))));
      target.dataset.image = "shown";
    } catch {
      target.classList.add("thumb-gone");
    }
  }, { rootMargin: "200px" });
  watcher.observe(target);
  return target;
}

/** The picture of an inspection with all that is laid over it; `source` says where image, heat and explanation come from. */
export function picture(inspection, signal, source = ofInspection(inspection)) {
  const ratio = inspection.width / inspection.height;
  const image = h("canvas", { class: "layer", role: "img", "aria-label": t("Image {name}", { name: fileNameOf(inspection) }) });
  const heat = h("canvas", { class: "layer layer-heat", "aria-hidden": "true" });
  const boxes = s("svg", { class: "layer layer-boxes", viewBox: `0 0 ${inspection.width} ${inspection.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const frame = h("div", { class: "frame" }, image, heat, boxes);
  const stage = h("div", { class: "stage", tabindex: "0", role: "group", "aria-label": t("Picture; scrolls when enlarged") }, frame);
  frame.style.setProperty("--ratio", String(ratio));
  const status = h("p", { class: "stage-status small muted" }, t("Loading the image …"));
  const words = h("div", { class: "regions small" });
  const root = h("div", { class: "picture" }, stage, controls({ heat, boxes, frame }), status, words);
  if (!inspection.image_url) {
    fill(status, t("The image is no longer kept; only the verdict is."));
    root.classList.add("picture-gone");
    return root;
  }
  void load(inspection, source, { image, heat, boxes, status, words, root }, signal);
  return root;
}

function ofInspection(inspection) {
  return { image: () => bitmap(api.imageUrl(inspection)).catch(() => bitmap(inspection.thumbnail_url)), heat: api.heatUrl(inspection), explain: (signal) => patiently(() => api.explanation(inspection.id, signal), { signal }) };
}

/** The same of a picture that has its heat map at `maps`, or none where that is null. */
export function pictureWithMaps(about, maps, signal) {
  const url = `${about.image_url}?display=true`;
  return picture(about, signal, { image: () => bitmap(url), heat: maps && `${maps}/heatmap.png`, explain: (ending) => api.explain(`${maps}/explanation`, ending) });
}

async function load(inspection, source, { image, heat, boxes, status, words, root }, signal) {
  try {
    paint(image, await source.image());
  } catch (error) {
    fill(status, t("The image cannot be shown. {reason}", { reason: error.message }));
    return;
  }
  if (signal?.aborted) return;
  root.dataset.image = "shown";
  if (!source.heat) {
    root.classList.add("picture-plain");
    status.hidden = true;
    return;
  }
  fill(status, t("Working out the heat map …"));
  try {
    const [warmth, explanation] = await Promise.all([bitmap(source.heat), source.explain(signal)]);
    if (signal?.aborted) return;
    paint(heat, warmth);
    fill(boxes, explanation.regions.map((region) => box(region, inspection)));
    fill(words, inWords(explanation));
    status.hidden = true;
    root.dataset.heat = "shown";
  } catch (error) {
    if (error.name !== "AbortError") fill(status, t("There is no heat map. {reason}", { reason: error.message }));
  }
}

/**
 * A region's outline, dark and light so that it shows on any ground; kept within the picture, whose edge would cut it.
 * Where it encloses much, a ring says where in it to look.
 */
function box(region, whole) {
  const edge = 0.004 * Math.max(whole.width, whole.height);
  const x = Math.max(region.x, edge);
  const y = Math.max(region.y, edge);
  const width = Math.max(0, Math.min(region.x + region.width, whole.width - edge) - x);
  const height = Math.max(0, Math.min(region.y + region.height, whole.height - edge) - y);
  const outlines = [["rect", { x, y, width, height }]];
  if (typeof region.peak_x === "number" && region.width * region.height > LARGE * whole.width * whole.height) outlines.push(["circle", { cx: region.peak_x + 0.5, cy: region.peak_y + 0.5, r: 5 * edge }]);
  return s("g", {}, outlines.flatMap(([kind, where]) => ["rim", "box"].map((look) => s(kind, { ...where, class: look }))));
}

function controls({ heat, boxes, frame }) {
  const id = freshId("heat");
  const shown = h("span", { class: "heat-value number", "aria-hidden": "true" }, `${chosen.opacity} %`);
  const slider = h("input", { class: "slider", id, type: "range", min: 0, max: 100, step: 5, value: chosen.opacity, "aria-valuetext": `${chosen.opacity} %` });
  const set = () => {
    chosen.opacity = Number(slider.value);
    heat.style.opacity = String(chosen.opacity / 100);
    fill(shown, `${chosen.opacity} %`);
    slider.setAttribute("aria-valuetext", `${chosen.opacity} %`);
  };
  slider.addEventListener("input", set);
  set();
  const regions = h("button", { class: "chip", type: "button" }, icon("frame"), t("Regions"));
  const mark = () => {
    regions.setAttribute("aria-pressed", String(chosen.regions));
    boxes.toggleAttribute("hidden", !chosen.regions);
  };
  regions.addEventListener("click", () => {
    chosen.regions = !chosen.regions;
    mark();
  });
  mark();
  let zoom = 0;
  const times = h("span", {}, "1 ×");
  const enlarge = h("button", { class: "chip", type: "button", onclick: () => {
    zoom = (zoom + 1) % ZOOMS.length;
    frame.style.setProperty("--zoom", String(ZOOMS[zoom]));
    fill(times, `${ZOOMS[zoom]} ×`);
    const stage = frame.parentElement;
    stage.scrollTo((frame.offsetWidth - stage.clientWidth) / 2, (frame.offsetHeight - stage.clientHeight) / 2);
  } }, icon("zoom"), h("span", { class: "unseen" }, t("Enlarge, now")), times);
  return h("div", { class: "picture-controls" }, h("div", { class: "heat-control" }, h("label", { for: id }, t("Heat map")), slider, shown), h("div", { class: "row" }, regions, enlarge));
}

function inWords({ regions, scale, hottest }) {
  if (scale !== "fixed") return h("p", { class: "muted" }, t("This model has no common heat scale: the map is relative to this image, and no regions are marked."));
  const peak = t("The hottest spot reaches {times} times the hottest that good parts get.", { times: number(hottest) });
  if (!regions.length) return h("p", { class: "muted" }, t("No region is hotter than good parts get. {peak}", { peak }));
  const items = regions.map((region, i) => h("li", {}, t("Region {n}: {width} × {height} px at {x}, {y}; peak {peak}", { n: i + 1, width: region.width, height: region.height, x: region.x, y: region.y, peak: number(region.peak) })));
  return h("details", {}, h("summary", {}, t("{regions} hotter than good parts get. {peak}", { regions: plural(regions.length, "region"), peak })), h("ol", {}, items));
}
