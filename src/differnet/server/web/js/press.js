/** What is drawn anew waits while somebody presses a button: replaced or moved away in between, it would never be clicked. */

const PRESSABLE = "button, a, summary";
// No press is longer than that; a finger's click comes a moment after it left.
const LONGEST = 2000;
const CLICK_COMES = 100;

let pressed = false;
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
  pressed = true;
  releaseIn(LONGEST);
}

function releaseIn(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(release, milliseconds);
}

function release() {
  pressed = false;
  const draws = [...waiting.values()];
  waiting.clear();
  for (const draw of draws) draw();
}

const early = { capture: true };
addEventListener("pointerdown", press, early);
addEventListener("keydown", (event) => { if (event.key === " ") press(event); }, early);
for (const end of ["pointerup", "pointercancel", "keyup"]) addEventListener(end, () => { if (pressed) releaseIn(CLICK_COMES); }, early);
addEventListener("click", () => {
  // What the click does is drawn at once; what waited for it, when it is done.
  pressed = false;
  releaseIn(0);
}, early);
