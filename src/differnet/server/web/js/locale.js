/** The browser's language: for numbers and times in its own way, for texts in one of those that there are. */
export const LOCALE = navigator.language || "en";

/** Languages with a file in texts/, beside English, which stands in the code. */
const LANGUAGES = { de: () => import("./texts/de.js") };

const language = LOCALE.toLowerCase().split("-")[0];
const texts = language in LANGUAGES ? (await LANGUAGES[language]()).default : {};
document.documentElement.lang = language in LANGUAGES ? language : "en";

/** A text in the browser's language: t("{n} of {all}", {n: 1, all: 2}). What has no translation stays English. */
export function t(text, values = {}) {
  return (texts[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** What stands in the page itself: elements that say so by data-text, and an attribute by data-label. */
export function translatePage() {
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.textContent);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.getAttribute("aria-label")));
  document.title = t(document.title);
}

const DECIMAL = (1.5).toLocaleString(LOCALE).charAt(1);

/** A number that JavaScript writes with a point, with the language's own. */
export function localized(written) {
  return written.replace(".", DECIMAL);
}
