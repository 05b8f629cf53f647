/** The service's HTTP interface. Every failure is an ApiError whose message is a sentence for the user. */
import { t } from "./locale.js";

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
  if (typeof detail !== "string" || !detail) detail = t("The service answered with status {status} ({reason}).", { status: response.status, reason: response.statusText || t("no reason given") });
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

export const api = {
  session: (keyToTry) => getJson("/v1/session", { keyToTry, quiet: true }),
  models: (signal) => getJson("/v1/models", { signal }).then((answer) => answer.models),
  model: (name, signal) => getJson(named(name), { signal }),
  report: (name) => request(`${named(name)}/report`).then((response) => response.blob()),
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

  /** Inspect one file; the answer is one inspection, a file that cannot be used is an ApiError. */
  async inspect(name, file, signal) {
    const body = new FormData();
    body.append("images", file, file.name);
    const answer = await getJson(`${named(name)}/inspect`, { method: "POST", body, signal });
    const [result] = answer.inspections;
    if (!result) throw new ApiError(t("The service gave no answer for this image."), 502);
    if (result.error) throw new ApiError(result.error, 422);
    return result;
  },
};
