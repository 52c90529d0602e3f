/**
 * What is said while work goes on, and when it failed.
 *
 * @typedef {import("./session.js").Step} Step
 */
import { byId, made } from "./dom.js";
import { percent } from "./words.js";

const WORDS = {
  sending: "sending",
  waiting: "waiting",
  reading: "reading",
  upscaling: "upscaling",
  writing: "writing",
  receiving: "receiving",
};

let spoken = "";

/** @param {Step} step */
export function showStep(step) {
  const meter = byId("meter");
  // A picture that is one tile stays at nothing until it is done.
  const unknown = ["waiting", "busy"].includes(step.kind) || (step.kind !== "sending" && !step.share);
  const share = unknown ? undefined : step.share;
  if (share === undefined) meter.removeAttribute("value");
  else meter.value = share;
  byId("share").textContent = share === undefined ? "" : percent(share);
  byId("doing").textContent = wordsFor(step);
  document.title = share === undefined ? "EFDN" : `${percent(share)} EFDN`;
  // Screen readers hear each step once, and quarters of the long one.
  const quarter = step.kind === "upscaling" ? ` ${Math.floor((share ?? 0) * 4) * 25} %` : "";
  if (step.kind !== "busy" || !spoken.includes("busy")) say(`${wordsFor(step)}${quarter}`);
}

/** @param {Step} step */
function wordsFor({ by, kind, position, seconds }) {
  const who = by === "bicubic" ? "Bicubic first" : by;
  if (kind === "busy") return `The server is busy: again in ${seconds} s`;
  if (kind === "waiting") return `${who}: waiting, place ${position} in the queue`;
  return `${who}: ${WORDS[kind] ?? kind}`;
}

/** @param {string} text for screen readers; the same again is not said twice */
export function say(text) {
  if (text === spoken) return;
  spoken = text;
  byId("live").textContent = text;
}

/**
 * @param {string} text a remark that is no error; empty takes it away
 * @param {Record<string, () => void>} actions by what their buttons say
 */
export function note(text, actions = {}) {
  byId("notice").replaceChildren(...(text ? [made("p", {}, text), ...buttonsOf(actions)] : []));
}

/**
 * @param {string} text the server's line
 * @param {Record<string, () => void>} actions by what their buttons say
 */
export function showError(text, actions) {
  byId("alert").replaceChildren(made("p", {}, text), ...buttonsOf(actions));
}

/** @param {Record<string, () => void>} actions */
function buttonsOf(actions) {
  const buttons = Object.entries(actions).map(([name, act]) => {
    const button = made("button", { type: "button" }, name);
    button.addEventListener("click", act);
    return button;
  });
  return buttons.length ? [made("div", { class: "actions" }, ...buttons)] : [];
}

export function clearError() {
  byId("alert").replaceChildren();
}
