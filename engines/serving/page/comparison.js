/**
 * Two pictures under a slider, with zoom: images of the browser's, moved by transforms and cut by clip paths, so that
 * large ones cost no copies.
 *
 * @typedef {import("./api.js").Size} Size
 * @typedef {import("./placement.js").Placement} Placement
 * @typedef {import("./placement.js").Point} Point
 */
import { exceeds, fitted, kept, moved, nextStep, zoomed } from "./placement.js";

const NOTHING = { width: 1, height: 1 };

export class Comparison {
  /** @param {Record<"viewer"|"before"|"after"|"beforeLabel"|"afterLabel"|"divider"|"zoom"|"hint", HTMLElement>} parts */
  constructor(parts) {
    this.parts = parts;
    /** @type {Size} */ this.picture = NOTHING;
    /** @type {Size} */ this.room = NOTHING;
    /** @type {Placement} */ this.placement = { x: 0, y: 0, scale: 1 };
    this.share = 0.5;
    this.fits = true;
    this.two = false;
    new ResizeObserver(() => this.measure()).observe(parts.viewer);
  }

  /**
   * Shows one picture, or two. Zoom and place are kept where the size is as before.
   *
   * @param {Size} size of both, in pixels; images are stretched to it
   * @param {{image: HTMLImageElement, label: string}} before
   * @param {{image: HTMLImageElement, label: string}|null} after
   */
  show(size, before, after) {
    const same = size.width === this.picture.width && size.height === this.picture.height;
    this.picture = size;
    this.two = after !== null;
    for (const side of [before, after]) {
      if (side === null) continue;
      side.image.style.width = `${size.width}px`;
      side.image.style.height = `${size.height}px`;
    }
    this.parts.before.replaceChildren(before.image);
    this.parts.after.replaceChildren(...(after ? [after.image] : []));
    this.parts.beforeLabel.textContent = before.label;
    this.parts.afterLabel.textContent = after?.label ?? "";
    if (!same) this.fits = true;
    this.measure();
  }

  clear() {
    this.picture = NOTHING;
    this.parts.before.replaceChildren();
    this.parts.after.replaceChildren();
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.parts.viewer;
    if (!width || !height) return;
    this.room = { width, height };
    this.place(this.fits ? fitted(this.picture, this.room) : kept(this.placement, this.picture, this.room));
  }

  /** The scale at which a pixel of the picture is one of the screen. */
  get one() {
    return 1 / window.devicePixelRatio;
  }

  /** Whether the picture can be moved. */
  get movable() {
    return exceeds(this.placement, this.picture, this.room);
  }

  /** Left and right end of what is seen of the picture, in CSS pixels of the viewer. */
  get span() {
    const { x, scale } = this.placement;
    return [Math.max(0, x), Math.min(this.room.width, x + this.picture.width * scale)];
  }

  /** Where the divider stands, in CSS pixels of the viewer. */
  get edge() {
    const [left, right] = this.span;
    return left + this.share * (right - left);
  }

  fit() {
    this.fits = true;
    this.place(fitted(this.picture, this.room));
  }

  /** @param {number} scale @param {Point} [point] of the viewer, its middle if not given */
  zoomTo(scale, point = { x: this.room.width / 2, y: this.room.height / 2 }) {
    this.fits = false;
    this.place(zoomed(this.placement, point, scale, this.picture, this.room));
    this.fits = Math.abs(this.placement.scale / fitted(this.picture, this.room).scale - 1) < 1e-3;
  }

  /** @param {number} direction 1 or -1 */
  step(direction) {
    const next = nextStep(this.placement.scale, direction, this.one);
    const whole = fitted(this.picture, this.room).scale;
    if (direction < 0 && next < whole && whole < this.placement.scale) this.fit();
    else this.zoomTo(next);
  }

  /** The whole picture if enlarged, else 1:1, or twice that where 1:1 is no larger. @param {Point} point */
  toggle(point) {
    if (!this.fits) this.fit();
    else this.zoomTo(this.placement.scale < this.one * 0.99 ? this.one : this.placement.scale * 2, point);
  }

  move(dx, dy) {
    this.place(moved(this.placement, dx, dy, this.picture, this.room));
  }

  /** @param {number} x of the viewer, CSS pixels */
  slideTo(x) {
    const [left, right] = this.span;
    this.slide((x - left) / Math.max(1, right - left));
  }

  /** @param {number} share 0 is the left end, 1 the right one */
  slide(share) {
    this.share = Math.min(1, Math.max(0, share));
    this.draw();
  }

  /** @param {Placement} placement */
  place(placement) {
    this.placement = placement;
    this.draw();
  }

  /** What can be done with the pointer at hand. */
  advice() {
    const zoom = matchMedia("(pointer: coarse)").matches ? "pinch to zoom" : "scroll to zoom";
    if (this.two && this.movable) return "Drag the handle to compare, the picture to move it";
    return this.two ? `Drag to compare, ${zoom}` : `${zoom[0].toUpperCase()}${zoom.slice(1)}`;
  }

  draw() {
    const { viewer, before, after, divider, zoom, hint, beforeLabel, afterLabel } = this.parts;
    const { x, y, scale } = this.placement;
    const snapped = (value) => Math.round(value / this.one) * this.one;
    const edge = snapped(this.two ? this.edge : this.room.width);
    for (const side of [before, after]) {
      const image = /** @type {HTMLElement|null} */ (side.firstElementChild);
      if (image === null) continue;
      image.style.transform = `translate(${snapped(x)}px, ${snapped(y)}px) scale(${scale})`;
    }
    before.style.clipPath = `inset(0 ${this.room.width - edge}px 0 0)`;
    after.style.clipPath = `inset(0 0 0 ${edge}px)`;
    divider.style.transform = `translateX(${edge}px)`;
    const [left, right] = this.span;
    const enough = (label, room) => label.classList.toggle("gone", room < label.offsetWidth + 24);
    const top = Math.max(0, y);
    beforeLabel.style.transform = `translate(${left}px, ${top}px)`;
    afterLabel.style.transform = `translate(${right - this.room.width}px, ${top}px)`;
    enough(beforeLabel, this.two ? edge - left : Infinity);
    enough(afterLabel, right - edge);
    viewer.style.setProperty("--zoom", String(scale));
    viewer.classList.toggle("pixels", scale > this.one * 1.001);
    viewer.classList.toggle("movable", this.movable);
    viewer.classList.toggle("two", this.two);
    const percent = Math.round(this.share * 100);
    divider.setAttribute("aria-valuenow", String(percent));
    divider.setAttribute("aria-valuetext", `${percent} % bicubic, ${100 - percent} % EFDN`);
    hint.textContent = this.advice();
    zoom.textContent = `${Math.round((scale / this.one) * 100)} %`;
  }
}
