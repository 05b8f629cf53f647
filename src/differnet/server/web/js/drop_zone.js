/** Where images are dropped, chosen or pasted. */
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./locale.js";

const KINDS = "image/*,.png,.jpg,.jpeg,.bmp,.tif,.tiff,.webp";

/** The place to drop images on; a button for the keyboard, and pasting from the clipboard. */
export function dropZone(take, signal) {
  const input = h("input", { type: "file", accept: KINDS, multiple: true, class: "unseen", id: "files", tabindex: "-1", "aria-label": t("Image files") });
  const button = h("button", { class: "button button-primary", type: "button", onclick: () => input.click() }, icon("upload"), t("Choose images"));
  const zone = h("div", { class: "drop" }, h("p", { class: "drop-title" }, t("Drop images here")), h("p", { class: "small muted" }, t("PNG, JPEG, BMP, TIFF or WebP")), button, input);
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
