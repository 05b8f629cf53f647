/** What is drawn anew waits while somebody presses a button: replaced or moved away in between, it would never be clicked. */

const PRESSABLE = "button, a, summary";
// Should a release never be told, nothing waits longer than that; a finger's click comes a moment after it left.
const LONGEST = 30_000;
const CLICK_COMES = 100;

/** How it was pressed, by the kind of event; nothing where nothing is. */
let pressed = "";
let timer = 0;
const waiting = new Map();

/** Do it now, or once nothing is pressed any more; of several for one node only the last. */
export function unlessPressed(node, draw) {
  waiting.delete(node);
  if (pressed && node.isConnected) waiting.set(node, draw);
  else draw();
}

function press(event) {
  if (!event.target.closest?.(PRESSABLE)) return;
  pressed = event.type;
  releaseIn(LONGEST);
}

function releaseIn(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(release, milliseconds);
}

function release() {
  pressed = "";
  const draws = [...waiting.values()];
  waiting.clear();
  // Each by itself: what fails is told in the console, and the others are drawn.
  for (const draw of draws) queueMicrotask(draw);
}

const early = { capture: true };
addEventListener("pointerdown", press, early);
addEventListener("keydown", (event) => { if (event.key === " ") press(event); }, early);
for (const end of ["pointerup", "pointercancel", "keyup"]) addEventListener(end, () => { if (pressed) releaseIn(CLICK_COMES); }, early);
// Let go where no event tells of it, as beside the window.
addEventListener("pointermove", ({ buttons, pointerType }) => { if (pressed === "pointerdown" && pointerType === "mouse" && !buttons) releaseIn(0); }, early);
addEventListener("blur", () => { if (pressed) releaseIn(0); });
addEventListener("click", () => {
  // What the click does is drawn at once; what waited for it, when it is done.
  pressed = "";
  releaseIn(0);
}, early);
