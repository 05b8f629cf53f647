/** Choosing a model. The last choice is kept for the tab. */
import { h } from "./dom.js";

const CHOICE = "differnet-model";

/** Models that can inspect: ready ones, and broken files whose older version is still served. */
export function usable(models) {
  return models.filter((model) => model.status === "ready" || model.model_id);
}

/** A select element, `all` adds an entry for every model. */
export function modelSelect(models, { wanted = null, all = false, onchange = () => {} } = {}) {
  const names = models.map((model) => model.name);
  const remembered = sessionStorage.getItem(CHOICE);
  const start = [wanted, remembered, names[0]].find((name) => names.includes(name)) ?? "";
  const select = h(
    "select", { class: "select" },
    all && names.length > 1 && h("option", { value: "" }, "All models"),
    names.map((name) => h("option", { value: name }, name)),
  );
  select.value = start;
  select.addEventListener("change", () => {
    if (select.value) sessionStorage.setItem(CHOICE, select.value);
    onchange(select.value);
  });
  return select;
}

/** What to say where there is no model at all. */
export function noModels() {
  return h(
    "div", { class: "empty" }, h("strong", {}, "No model is loaded"),
    h("p", {}, "Put a model file into the service's folder; it is served without a restart. ", h("a", { href: "#/models" }, "See the models"), "."),
  );
}
