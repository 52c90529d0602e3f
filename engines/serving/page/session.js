/**
 * What is done with one picture: requests, their progress, and what came of them.
 *
 * @typedef {import("./api.js").Answer} Answer
 * @typedef {import("./settings.js").Choice} Choice
 * @typedef {{image: HTMLImageElement|null, answer: Answer}} Enlarged
 * @typedef {{choice: Choice, bicubic: Enlarged, efdn: Enlarged}} Run
 * @typedef {{by: "bicubic"|"EFDN", kind: "sending"|"waiting"|"reading"|"upscaling"|"writing"|"receiving"|"busy",
 *   share?: number, position?: number, seconds?: number}} Step
 */
import { aborted, ApiError, fetchProgress, upscale } from "./api.js";
import { decoded } from "./dom.js";

const POLL_MS = 250;
const MOST_RUNS = 8; // Each keeps its result.
const LARGE_PIXELS = 1e6;
const SMALL_BYTES = 30_000; // Few photos of a million pixels have less.
const LARGE_BYTES = 3e6; // For pictures whose size the browser cannot tell.

export class Session {
  /** @param {File} file */
  constructor(file) {
    this.file = file;
    /** The picture itself; null if the browser cannot show it. */ this.picture = decoded(file);
    /** @type {Run[]} */ this.runs = [];
    /** @type {Map<string, Enlarged>} by what was asked for */ this.bicubics = new Map();
    this.controller = new AbortController();
  }

  /** Ends what is under way; `run` then rejects with AbortError. */
  cancel() {
    this.controller.abort();
  }

  /**
   * Bicubic enlargement first, which is quick and is shown meanwhile, then EFDN. Of a large picture it is not quick:
   * both are asked for at once.
   *
   * @param {Choice} choice
   * @param {(step: Step) => void} onStep
   * @param {(bicubic: Enlarged) => void} onBicubic
   * @returns {Promise<Run>}
   */
  async run(choice, onStep, onBicubic) {
    this.controller.abort();
    this.controller = new AbortController();
    const { controller } = this;
    const { signal } = controller;
    await checkReadable(this.file);
    if (signal.aborted) throw aborted();
    const key = JSON.stringify(choice.bicubic);
    const large = await this.isLarge();
    if (signal.aborted) throw aborted();
    const shown = this.bicubic(key, choice, large ? () => {} : onStep, onBicubic, signal);
    if (!large) await shown;
    const both = Promise.all([shown, this.enlarged(choice.efdn, "EFDN", onStep, signal)]);
    const [bicubic, efdn] = await both.catch((error) => {
      controller.abort(); // Who fails does not leave the other at work.
      throw error;
    });
    const run = { choice, bicubic, efdn };
    this.runs.push(run);
    if (this.runs.length > MOST_RUNS) this.runs.shift();
    return run;
  }

  /** Whether bicubic alone takes seconds. */
  async isLarge() {
    if (this.file.size < SMALL_BYTES) return false;
    const image = await this.picture;
    return image ? image.naturalWidth * image.naturalHeight > LARGE_PIXELS : this.file.size > LARGE_BYTES;
  }

  /** What was made before, or is now. @returns {Promise<Enlarged>} */
  async bicubic(key, choice, onStep, onBicubic, signal) {
    const bicubic = this.bicubics.get(key) ?? (await this.enlarged(choice.bicubic, "bicubic", onStep, signal));
    this.keep(key, bicubic);
    onBicubic(bicubic);
    return bicubic;
  }

  /** Of bicubic results, those of runs that are kept and the latest. @param {string} key @param {Enlarged} bicubic */
  keep(key, bicubic) {
    const used = new Set(this.runs.map((run) => run.bicubic));
    for (const [old, kept] of this.bicubics) if (!used.has(kept)) this.bicubics.delete(old);
    this.bicubics.set(key, bicubic);
  }

  /** @returns {Promise<Enlarged>} */
  async enlarged(query, by, onStep, signal) {
    const named = { ...query, name: this.file.name };
    const answer = await patiently(this.file, named, (step) => onStep({ by, ...step }), signal);
    const image = await decoded(answer.blob);
    if (signal.aborted) throw aborted();
    return { image, answer };
  }
}

/** Of a folder, or a file that is gone or has changed, a request would fail with no word why. @param {File} file */
async function checkReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error(`${file.name} cannot be read: it is a folder, or was moved or changed. Choose it again.`);
  }
}

/** Asks again while the server is busy, as long as nobody cancels. */
async function patiently(file, query, onStep, signal) {
  for (;;) {
    try {
      return await followed(file, query, onStep, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.retrySeconds === null) throw error;
      for (let seconds = error.retrySeconds; seconds > 0; seconds--) {
        onStep({ kind: "busy", seconds });
        await pause(1000, signal);
      }
    }
  }
}

/** One request, and what its progress is. */
async function followed(file, query, onStep, signal) {
  const id = randomId();
  const polling = new AbortController();
  let sent = false;
  onStep({ kind: "sending", share: 0 });
  const onSent = (share) => {
    onStep({ kind: "sending", share });
    if (share < 1 || sent) return;
    sent = true;
    poll(id, onStep, polling.signal);
  };
  const onAnswering = () => {
    polling.abort();
    onStep({ kind: "receiving" });
  };
  try {
    return await upscale(file, { ...query, id }, { signal, onSent, onAnswering });
  } finally {
    polling.abort();
  }
}

async function poll(id, onStep, signal) {
  try {
    for (;;) {
      await pause(POLL_MS, signal);
      const progress = await fetchProgress(id, signal);
      if (signal.aborted) return;
      if (progress?.state === "waiting") onStep({ kind: "waiting", position: progress.position });
      else if (progress) onStep({ kind: progress.phase, share: progress.share });
    }
  } catch {
    // The request itself says what went wrong.
  }
}

/** @returns {Promise<void>} rejects with AbortError */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted());
    const stop = () => {
      clearTimeout(timer);
      reject(aborted());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** randomUUID is only there on secure pages, and this one may be plain HTTP on a local network. */
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
