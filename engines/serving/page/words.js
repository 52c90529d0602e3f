/** Figures as people read them. */

/** @param {number} count 912345 -> "912 kB" */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  return `${rounded(count / 1000 ** power)} ${units[power]}`;
}

/** @param {number} count a limit, which is often a round one of binary units: 67108864 -> "64 MiB" */
export function limit(count) {
  return count >= 2 ** 20 && count % 2 ** 20 === 0 ? `${count / 2 ** 20} MiB` : bytes(count);
}

/** @param {number} ms 84 -> "84 ms", 1240 -> "1.24 s", 125000 -> "2 min 5 s" */
export function duration(ms) {
  if (ms < 1000) return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toPrecision(3)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** @param {{width: number, height: number}} size */
export function size({ width, height }) {
  return `${width} × ${height}`;
}

/** A file's name, its middle left out where it is long. @param {string} name */
export function short(name) {
  return name.length <= 28 ? name : `${name.slice(0, 14)}…${name.slice(-13)}`;
}

/** The format of a picture. @param {{blob: Blob}} answer image/png -> "PNG" */
export function kindOf({ blob }) {
  const kind = blob.type.replace("image/", "");
  return kind === "webp" ? "WebP" : kind.toUpperCase();
}

/** @param {number} share 0.426 -> "42 %"; 100 is only said of what is done */
export function percent(share) {
  return `${Math.floor(share * 100)} %`;
}

/** Three digits, or all before the point. */
function rounded(value) {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
