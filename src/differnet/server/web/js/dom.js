/** Making elements. Text goes in as text only, never as markup: file names and server texts cannot become elements. */
import { unlessPressed } from "./press.js";

const SVG = "http://www.w3.org/2000/svg";

/** Attributes: `onclick` and the like are listeners, true and false set or leave out, the rest are set as they stand. */
function apply(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element: h("p", {class: "small"}, "text", otherElement). */
export function h(tag, attributes, ...children) {
  return apply(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return apply(document.createElementNS(SVG, tag), attributes, children);
}

/** Replace what an element holds. What somebody presses stays until it is clicked; what had the focus has it again. */
export function fill(node, ...children) {
  const kept = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  unlessPressed(node, () => {
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    const which = focused && alike(node, focused).indexOf(focused);
    node.replaceChildren(...kept);
    if (focused && document.activeElement !== focused) (focused.isConnected ? focused : alike(node, focused)[which])?.focus({ preventScroll: true });
  });
  return node;
}

/** The elements that are called as this one is. */
function alike(node, one) {
  const called = (each) => each.getAttribute("aria-label") ?? each.textContent;
  return [...node.querySelectorAll(one.localName)].filter((each) => called(each) === called(one));
}

/** Say something to screen readers without moving the focus. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  // The change is only read if the region was empty before it.
  setTimeout(() => { announcer.textContent = text; }, 60);
}

/** A notice: kind is error, warning, good or info. Errors interrupt a screen reader. */
export function notice(kind, ...children) {
  return h("div", { class: `notice notice-${kind}`, role: kind === "error" ? "alert" : "note" }, ...children);
}

let lastId = 0;
/** A fresh id, to tie labels and fields together. */
export function freshId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** A labelled field; the label names it for everybody. */
export function field(label, input, hint) {
  const id = input.id || freshId("field");
  input.id = id;
  const about = hint ? h("small", { id: `${id}-hint` }, hint) : null;
  if (about) input.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { for: id }, label), input.parentElement ?? input, about);
}
