/**
 * What is told of a run: facts, warnings, times; and all runs on this picture.
 *
 * @typedef {import("./session.js").Run} Run
 * @typedef {import("./api.js").Answer} Answer
 */
import { byId, made } from "./dom.js";
import { bytes, duration, kindOf, size } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** @param {Run} run @param {number} sentBytes of the picture itself */
export function showRun(run, sentBytes) {
  const { answer } = run.efdn;
  byId("result").hidden = false;
  byId("result-title").textContent = answer.name;
  byId("facts").replaceChildren(
    ...pair("Picture", `${size(answer.source)}, ${bytes(sentBytes)}`),
    ...pair("Result", `${size(answer.size)}, ${bytes(answer.blob.size)}`),
  );
  byId("warnings").replaceChildren(...answer.warnings.map((line) => made("li", {}, line)));
  showTimes(answer);
}

/** @param {Answer} answer */
export function timesOf({ timesMs, wholeMs }) {
  const { wait = 0, read = 0, infer = 0, write = 0, receive = 0 } = timesMs;
  const send = Math.max(0, wholeMs - wait - read - infer - write - receive);
  return [
    { kind: "send", name: "Sending", ms: send },
    { kind: "wait", name: "Waiting", ms: wait },
    { kind: "read", name: "Reading", ms: read },
    { kind: "infer", name: "Network", ms: infer },
    { kind: "write", name: "Writing", ms: write },
    { kind: "receive", name: "Receiving", ms: receive },
  ];
}

/** @param {Answer} answer */
function showTimes(answer) {
  const times = timesOf(answer);
  const whole = times.reduce((sum, { ms }) => sum + ms, 0) || 1;
  let x = 0;
  const pieces = times.map(({ kind, ms }) => {
    const piece = document.createElementNS(SVG, "rect");
    const width = (100 * ms) / whole;
    const place = { class: kind, x: x.toFixed(3), width: width.toFixed(3), y: "0", height: "4" };
    for (const [name, value] of Object.entries(place)) piece.setAttribute(name, value);
    x += width;
    return piece;
  });
  byId("bar").replaceChildren(...pieces);
  byId("times").replaceChildren(
    ...times.flatMap(({ kind, name, ms }) => pair(name, duration(ms), kind)),
    ...pair("Whole", duration(answer.wholeMs), "whole"),
  );
}

/** @param {Run[]} runs @param {Run|null} shown @param {(run: Run) => void} show */
export function showRuns(runs, shown, show) {
  byId("history").hidden = !runs.length;
  const differ = (told) => new Set(runs.map((run) => told(run.efdn.answer))).size > 1;
  byId("history").classList.toggle("one-size", !differ((answer) => size(answer.size)));
  byId("history").classList.toggle("one-kind", !differ(kindOf));
  byId("runs").replaceChildren(...runs.map((run) => runRow(run, run === shown, show)));
}

function runRow(run, isShown, show) {
  const { answer } = run.efdn;
  const name = made("button", { type: "button", class: "link", title: `Show what ${run.choice.engine} made` }, run.choice.engine);
  name.addEventListener("click", () => show(run));
  const row = made(
    "tr",
    isShown ? { "aria-current": "true" } : {},
    made("th", { scope: "row" }, name),
    made("td", {}, size(answer.size)),
    made("td", {}, kindOf(answer)),
    made("td", {}, duration(answer.timesMs.infer ?? 0)),
    made("td", {}, duration(answer.wholeMs)),
  );
  return row;
}

function pair(name, value, kind = "") {
  return [made("dt", kind ? { class: kind } : {}, name), made("dd", {}, value)];
}
