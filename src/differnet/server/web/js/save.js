/** Saving what the page has as a file. */
import { h } from "./dom.js";

/** @param content text or a Blob */
export function saveFile(name, type, content) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
