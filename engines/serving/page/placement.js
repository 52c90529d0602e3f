/**
 * Where a picture lies in a room. Pure: sizes in, placements out.
 *
 * @typedef {import("./api.js").Size} Size
 * @typedef {{x: number, y: number}} Point
 * @typedef {{x: number, y: number, scale: number}} Placement the picture's top left corner in CSS pixels of the
 *   room, and CSS pixels a pixel of the picture
 */

const LARGEST_FIT = 16;
const LARGEST = 32;

/**
 * The whole picture, in the middle.
 *
 * @param {Size} picture
 * @param {Size} room
 * @returns {Placement}
 */
export function fitted(picture, room) {
  const scale = Math.min(room.width / picture.width, room.height / picture.height, LARGEST_FIT);
  return kept({ x: 0, y: 0, scale }, picture, room);
}

/**
 * Enlarged so that what lies under a point stays there.
 *
 * @param {Placement} placement
 * @param {Point} point of the room
 * @param {number} scale wished for; held between the whole picture (or 1:1, if that is smaller) and 32 times
 * @param {Size} picture
 * @param {Size} room
 * @returns {Placement}
 */
export function zoomed(placement, point, scale, picture, room) {
  const least = Math.min(fitted(picture, room).scale, 1);
  const held = Math.min(Math.max(scale, least), LARGEST);
  const factor = held / placement.scale;
  const x = point.x - (point.x - placement.x) * factor;
  const y = point.y - (point.y - placement.y) * factor;
  return kept({ x, y, scale: held }, picture, room);
}

/**
 * @param {Placement} placement
 * @param {number} dx
 * @param {number} dy
 * @param {Size} picture
 * @param {Size} room
 * @returns {Placement}
 */
export function moved(placement, dx, dy, picture, room) {
  return kept({ ...placement, x: placement.x + dx, y: placement.y + dy }, picture, room);
}

/** In the middle along axes with room to spare; along the others, without a gap at the edges. */
export function kept({ x, y, scale }, picture, room) {
  return {
    x: heldAxis(x, picture.width * scale, room.width),
    y: heldAxis(y, picture.height * scale, room.height),
    scale,
  };
}

function heldAxis(start, length, room) {
  return length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, start));
}

/** Whether some of the picture lies outside the room. */
export function exceeds({ scale }, picture, room) {
  return picture.width * scale > room.width + 0.5 || picture.height * scale > room.height + 0.5;
}

/**
 * The next scale up or down of a ladder of round ones.
 *
 * @param {number} scale
 * @param {number} direction 1 or -1
 * @param {number} one the scale that is 1:1
 */
export function nextStep(scale, direction, one) {
  const steps = [1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32].map((step) => step * one);
  const beyond = direction > 0 ? steps.find((step) => step > scale * 1.01) : steps.findLast((step) => step < scale * 0.99);
  return beyond ?? scale;
}
