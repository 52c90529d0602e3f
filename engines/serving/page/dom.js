/** The little that the page needs to make and find elements. */

/**
 * @param {string} id
 * @returns {any} the element, which the page has
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node|string)} children text is escaped
 */
export function made(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * A picture that can be shown, decoded; null if the browser cannot.
 *
 * @param {Blob} blob
 * @returns {Promise<HTMLImageElement|null>}
 */
export async function decoded(blob) {
  const image = new Image();
  const url = URL.createObjectURL(blob);
  image.draggable = false;
  image.src = url;
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}
