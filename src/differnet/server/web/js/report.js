/** Opening a report: a page of its own. */
import { key, api } from "./api.js";
import { h, notice } from "./dom.js";
import { t } from "./locale.js";
import { saveFile } from "./save.js";

/** A link; where a key is needed, which links cannot carry, the report is fetched and saved as a file. */
export function reportLink(url, name, id = null) {
  if (!key.get()) return h("a", { class: "button", href: url, target: "_blank", rel: "noopener", "aria-describedby": id }, t("Open the report"));
  const button = h("button", { class: "button", type: "button", "aria-describedby": id, onclick: async () => {
    button.disabled = true;
    try {
      saveFile(name, "text/html", await api.picture(url));
    } catch (error) {
      button.after(notice("error", error.message));
    } finally {
      button.disabled = false;
    }
  } }, t("Save the report"));
  return button;
}
