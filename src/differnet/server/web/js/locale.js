/** The browser's language: for numbers and times in its own way, for texts in one of those that there are. */
export const LOCALE = navigator.language || "en";

/** Languages beside English, which stands in the code: texts/ has the page's texts, sentences/ what the service says. */
const LANGUAGES = { de: () => Promise.all([import("./texts/de.js"), import("./sentences/de.js")]) };

const language = LOCALE.toLowerCase().split("-")[0];
const [texts, sentences] = language in LANGUAGES ? (await LANGUAGES[language]()).map((file) => file.default) : [{}, {}];
document.documentElement.lang = language in LANGUAGES ? language : "en";

/** Those with most words of their own first: they fit best. */
const patterns = Object.entries(sentences).map(([english, other]) => {
  const words = english.split(/\{\w+\}/);
  return { pattern: new RegExp(`^${words.map((each) => each.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.+)")}$`), names: english.match(/(?<=\{)\w+(?=\})/g) ?? [], other, own: words.join("").length };
}).sort((a, b) => b.own - a.own);

/** A text in the browser's language: t("{n} of {all}", {n: 1, all: 2}). What has no translation stays English. */
export function t(text, values = {}) {
  return (texts[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** What the service says, in the browser's language; what has no translation stays English. */
export function said(sentence) {
  if (!patterns.length || !sentence) return sentence;
  const several = sentence.split(/(?<=\.) (?=\p{Lu}|\d)/u).map(translated);
  if (!several.includes(null)) return several.join(" ");
  return translated(sentence) ?? sentence;  // a name may hold what looks like the end of a sentence
}

/** One sentence, null if it is none that is known; what is put in may be one itself, or a list. */
function translated(sentence) {
  for (const { pattern, names, other } of patterns) {
    const found = pattern.exec(sentence);
    if (found) return other.replace(/\{(\w+)\}/g, (whole, name) => put(found[1 + names.indexOf(name)]));
  }
  return null;
}

function put(value) {
  if (/^\d+\.\d+$/.test(value)) return localized(value);
  const whole = said(value);
  return whole === value && value.includes(", ") ? value.split(", ").map(said).join(", ") : whole;
}

/** Attributes of an element that says what the service says: English is marked as such. */
export function spoken(sentence) {
  return language in LANGUAGES && said(sentence) === sentence ? { lang: "en" } : {};
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
