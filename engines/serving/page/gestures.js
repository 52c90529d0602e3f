/**
 * Pointers, wheel and keys of the comparison.
 *
 * Dragging moves the divider where the whole picture is seen; where it is enlarged, dragging near the divider moves
 * that, elsewhere the picture. Two fingers and the wheel zoom about where they are.
 *
 * @typedef {import("./comparison.js").Comparison} Comparison
 * @typedef {import("./placement.js").Point} Point
 */

const NEAR = 28;
const STILL = 3;
const KEY_PAN = 48;

/** @param {Comparison} comparison */
export function listen(comparison) {
  listenToPointers(comparison);
  const { viewer, divider } = comparison.parts;
  viewer.addEventListener("wheel", (event) => onWheel(comparison, event), { passive: false });
  viewer.addEventListener("dblclick", (event) => comparison.toggle(pointOf(comparison, event)));
  divider.addEventListener("keydown", (event) => onDividerKey(comparison, event));
  viewer.addEventListener("keydown", (event) => onViewerKey(comparison, event));
}

/** @returns {Point} in the viewer's CSS pixels */
function pointOf({ parts }, { clientX, clientY }) {
  const box = parts.viewer.getBoundingClientRect();
  return { x: clientX - box.left - parts.viewer.clientLeft, y: clientY - box.top - parts.viewer.clientTop };
}

/** @param {Comparison} comparison @param {WheelEvent} event */
function onWheel(comparison, event) {
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
  const speed = event.ctrlKey ? 0.01 : 0.002;
  const factor = Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * speed);
  comparison.zoomTo(comparison.placement.scale * factor, pointOf(comparison, event));
}

/** @param {Comparison} comparison */
function listenToPointers(comparison) {
  const { viewer } = comparison.parts;
  /** @type {Map<number, Point>} */ const down = new Map();
  /** @type {{kind: "slide"|"pan", start: Point, grip: number, under: boolean}|null} */ let drag = null;

  viewer.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const point = pointOf(comparison, event);
    down.set(event.pointerId, point);
    viewer.setPointerCapture(event.pointerId);
    const offset = comparison.edge - point.x;
    const near = comparison.two && Math.abs(offset) < NEAR;
    const kind = near || (comparison.two && !comparison.movable) ? "slide" : "pan";
    drag = down.size === 1 ? { kind, start: point, grip: near ? offset : 0, under: false } : null;
  });
  viewer.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (last === undefined) return;
    const point = pointOf(comparison, event);
    if (down.size === 2) pinch(comparison, down, event.pointerId, point);
    else if (drag !== null) {
      drag.under ||= Math.hypot(point.x - drag.start.x, point.y - drag.start.y) > STILL;
      if (drag.under && drag.kind === "slide") comparison.slideTo(point.x + drag.grip);
      else if (drag.under) comparison.move(point.x - last.x, point.y - last.y);
      viewer.dataset.drag = drag.under ? drag.kind : "";
    }
    if (drag === null || drag.under) down.set(event.pointerId, point);
  });
  const end = (event) => {
    down.delete(event.pointerId);
    drag = null;
    viewer.dataset.drag = "";
  };
  viewer.addEventListener("pointerup", end);
  viewer.addEventListener("pointercancel", end);
}

/** Zooms by how the distance of two fingers changed, and moves by how their middle did. */
function pinch(comparison, down, id, point) {
  const before = [...down.values()];
  const after = [...down].map(([other, last]) => (other === id ? point : last));
  /** @param {Point[]} points two */
  const middle = ([one, two]) => ({ x: (one.x + two.x) / 2, y: (one.y + two.y) / 2 });
  /** @param {Point[]} points two */
  const apart = ([one, two]) => Math.max(1, Math.hypot(one.x - two.x, one.y - two.y));
  const [from, to] = [middle(before), middle(after)];
  comparison.zoomTo((comparison.placement.scale * apart(after)) / apart(before), from);
  comparison.move(to.x - from.x, to.y - from.y);
}

/** @param {Comparison} comparison @param {KeyboardEvent} event */
function onDividerKey(comparison, event) {
  const step = event.shiftKey ? 0.1 : 0.02;
  /** @type {Record<string, number>} */
  const to = {
    ArrowLeft: comparison.share - step,
    ArrowDown: comparison.share - step,
    ArrowRight: comparison.share + step,
    ArrowUp: comparison.share + step,
    PageDown: comparison.share - 0.1,
    PageUp: comparison.share + 0.1,
    Home: 0,
    End: 1,
  };
  if (!(event.key in to) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  comparison.slide(to[event.key]);
}

/** @param {Comparison} comparison @param {KeyboardEvent} event */
function onViewerKey(comparison, event) {
  /** @type {Record<string, [number, number]>} */
  const by = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  if (!(event.key in by) || !comparison.movable || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const [dx, dy] = by[event.key];
  comparison.move(dx * KEY_PAN, dy * KEY_PAN);
}

/**
 * What zooms from anywhere on the page, as long as nothing is typed.
 *
 * @param {Comparison} comparison
 * @param {KeyboardEvent} event
 */
export function onZoomKey(comparison, event) {
  const typing = event.target instanceof Element && event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "+" || event.key === "=") comparison.step(1);
  else if (event.key === "-" || event.key === "_") comparison.step(-1);
  else if (event.key === "0") comparison.fit();
  else if (event.key === "1") comparison.zoomTo(comparison.one);
  else return;
  event.preventDefault();
}
