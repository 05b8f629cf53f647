/** The service's HTTP interface. Every failure is an ApiError whose message is a sentence for the user. */
import { said, t } from "./locale.js";

const KEY = "differnet-api-key";
let onKeyNeeded = () => {};

export class ApiError extends Error {
  constructor(message, status, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The key lives as long as the tab, and nowhere else. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** Called whenever the service refuses the key. */
export function whenKeyNeeded(callback) {
  onKeyNeeded = callback;
}

async function request(path, { method = "GET", json, body, signal, keyToTry, quiet = false } = {}) {
  const headers = { Accept: "application/json, image/*, text/html" };
  const secret = keyToTry ?? key.get();
  if (secret) headers["X-API-Key"] = secret;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: json === undefined ? body : JSON.stringify(json), signal, cache: "no-cache" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("The service cannot be reached. Check that it is running; the page goes on as soon as it answers."), 0);
  }
  if (response.ok) return response;
  const failure = await failureOf(response);
  if (response.status === 401 && !quiet) onKeyNeeded();
  throw failure;
}

async function failureOf(response) {
  let detail = null;
  try {
    detail = (await response.json()).detail;
  } catch {
    // Not JSON: a proxy in between, for instance. The status says enough.
  }
  if (typeof detail === "string" && detail) detail = said(detail);
  else detail = t("The service answered with status {status} ({reason}).", { status: response.status, reason: response.statusText || t("no reason given") });
  const wait = Number.parseFloat(response.headers.get("Retry-After"));
  return new ApiError(detail, response.status, Number.isFinite(wait) ? wait : null);
}

async function getJson(path, options) {
  return (await request(path, options)).json();
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

const named = (name) => `/v1/models/${encodeURIComponent(name)}`;
const inspected = (id) => `/v1/inspections/${encodeURIComponent(id)}`;
const made = (id) => `/v1/products/${encodeURIComponent(id)}`;
const working = (id) => `/v1/jobs/${encodeURIComponent(id)}`;
const post = (path, json) => getJson(path, { method: "POST", json });

export const api = {
  session: (keyToTry) => getJson("/v1/session", { keyToTry, quiet: true }),
  models: (signal) => getJson("/v1/models", { signal }).then((answer) => answer.models),
  model: (name, signal) => getJson(named(name), { signal }),
  statistics: (name, hours, signal) => getJson(`${named(name)}/statistics${query({ hours })}`, { signal }),
  inspections: (filter, signal) => getJson(`/v1/inspections${query(filter)}`, { signal }),
  inspection: (id, signal) => getJson(inspected(id), { signal }),
  sample: (filter, signal) => getJson(`/v1/sample${query(filter)}`, { signal }),
  explanation: (id, signal) => getJson(`${inspected(id)}/explanation`, { signal }),
  picture: (url, signal) => request(url, { signal }).then((response) => response.blob()),
  // What browsers do not show, such as TIFF, comes as PNG.
  imageUrl: (inspection) => `${inspection.image_url}?display=true`,
  heatUrl: (inspection) => `${inspected(inspection.id)}/heatmap.png?style=heat`,
  review: (id, review, note) => getJson(`${inspected(id)}/review`, { method: "POST", json: { review, note: note || null } }),
  calibrate: (name, wish) => getJson(`${named(name)}/calibrate`, { method: "POST", json: wish }),

  products: (signal) => getJson("/v1/products", { signal }).then((answer) => answer.products),
  product: (id, signal) => getJson(made(id), { signal }),
  createProduct: (name) => post("/v1/products", { name }),
  removeProduct: (id) => getJson(made(id), { method: "DELETE" }),
  choose: (id, choices) => post(`${made(id)}/choices`, choices),
  history: (id, signal) => getJson(`${made(id)}/history`, { signal }).then((answer) => answer.history),
  pictures: (id, signal) => getJson(`${made(id)}/pictures`, { signal }).then((answer) => answer.pictures),
  /** Some at a time, for a body has its bounds. */
  async leaveOut(id, pictures, leftOut) {
    let answer = null;
    for (let i = 0; i < pictures.length; i += 500) answer = await post(`${made(id)}/leave-out`, { pictures: pictures.slice(i, i + 500), left_out: leftOut });
    return answer.pictures;
  },
  sources: (signal) => getJson("/v1/sources", { signal }),
  receivers: (signal) => getJson("/v1/receivers", { signal }).then((answer) => answer.receivers),
  frame: (camera, signal) => request(`/v1/cameras/${encodeURIComponent(camera)}/frame.jpg`, { signal }).then((response) => response.blob()),
  collect: (id, wish) => post(`${made(id)}/collection`, wish),
  stopCollecting: (id) => getJson(`${made(id)}/collection`, { method: "DELETE" }),

  /** Add the next frame of a camera. */
  async take(id, camera) {
    const [taken] = (await post(`${made(id)}/take`, { camera })).pictures;
    if (taken.error) throw new ApiError(said(taken.error), 422);
    return taken;
  },
  removePicture: (id, picture) => getJson(`${made(id)}/pictures/${encodeURIComponent(picture)}`, { method: "DELETE" }),
  train: (id) => post(`${made(id)}/train`, {}),
  compare: (id, versions) => post(`${made(id)}/compare`, { versions }),
  release: (id, number, seen) => post(`${made(id)}/versions/${number}/release`, { seen }),
  rollBack: (id, seen) => post(`${made(id)}/rollback`, { seen }),
  exportVersion: (id, number, to, map) => post(`${made(id)}/versions/${number}/export`, { to, map }),
  makeReport: (id, number) => post(`${made(id)}/versions/${number}/report`, {}),
  reportOf: (job) => `${working(job)}/report`,
  removeVersion: (id, number) => getJson(`${made(id)}/versions/${number}`, { method: "DELETE" }),
  modelFile: (id, number) => request(`${made(id)}/versions/${number}/model`).then((response) => response.blob()),
  suspect: (id, number, picture) => `${made(id)}/versions/${number}/suspects/${encodeURIComponent(picture)}`,
  job: (id, signal) => getJson(working(id), { signal }),
  cancelJob: (id) => getJson(working(id), { method: "DELETE" }),
  comparison: (id, signal) => getJson(`${working(id)}/comparison`, { signal }),
  compared: (id, number, inspection) => `${working(id)}/maps/${number}/${encodeURIComponent(inspection)}`,
  exported: (id) => request(`${working(id)}/file`).then((response) => response.blob()),
  explain: (url, signal) => getJson(url, { signal }),

  /** Add one good picture; a file that cannot be used is an ApiError. */
  async addPicture(id, file, signal) {
    const body = new FormData();
    body.append("images", file, file.name);
    const answer = await getJson(`${made(id)}/pictures`, { method: "POST", body, signal });
    const [result] = answer.pictures;
    if (!result) throw new ApiError(t("The service gave no answer for this image."), 502);
    if (result.error) throw new ApiError(said(result.error), 422);
    return result;
  },

  /** Inspect the next frame of a camera. */
  inspectCamera: (name, camera) => post(`${named(name)}/inspect-camera`, { camera }).then((answer) => answer.inspections[0]),

  /** Inspect one file; the answer is one inspection, a file that cannot be used is an ApiError. */
  async inspect(name, file, signal) {
    const body = new FormData();
    body.append("images", file, file.name);
    const answer = await getJson(`${named(name)}/inspect`, { method: "POST", body, signal });
    const [result] = answer.inspections;
    if (!result) throw new ApiError(t("The service gave no answer for this image."), 502);
    if (result.error) throw new ApiError(said(result.error), 422);
    return result;
  },
};
