/** Choosing a model. The last choice is kept for the tab. */
import { h } from "./dom.js";
import { t } from "./locale.js";

const CHOICE = "differnet-model";
const CHOICE_OF_ALL = "differnet-model-or-all";

/** Models that can inspect: ready ones, and broken files whose older version is still served. */
export function usable(models) {
  return models.filter((model) => model.status === "ready" || model.model_id);
}

/** A select element; `all` adds an entry for every model, which it opens with until another was chosen. */
export function modelSelect(models, { wanted = null, all = false, onchange = () => {} } = {}) {
  const names = models.map((model) => model.name);
  const memory = all ? CHOICE_OF_ALL : CHOICE;
  const known = all && names.length > 1 ? ["", ...names] : names;
  const start = [wanted, sessionStorage.getItem(memory), known[0]].find((name) => known.includes(name)) ?? "";
  const select = h(
    "select", { class: "select" },
    all && names.length > 1 && h("option", { value: "" }, t("All models")),
    names.map((name) => h("option", { value: name }, name)),
  );
  select.value = start;
  select.addEventListener("change", () => {
    sessionStorage.setItem(memory, select.value);
    onchange(select.value);
  });
  return select;
}

/** What to say where there is no model at all. */
export function noModels() {
  return h(
    "div", { class: "empty" }, h("strong", {}, t("No model is loaded")),
    h("p", {}, t("Train one here from photographs of good parts, or put a model file into the service's folder. "), h("a", { href: "#/models" }, t("See the models")), "."),
    h("p", {}, h("a", { class: "button button-primary", href: "#/products" }, t("Train a model"))),
  );
}
