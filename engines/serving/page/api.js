/**
 * The server, as the page sees it. Addresses are relative, so that the page works below a path of a proxy too.
 *
 * @typedef {{name: string, state: "open"|"closed"|"unavailable", detail: string, reason: string|null}} EngineInfo
 * @typedef {{ending: string, name: string, type: string, lossy: boolean, qualities: [number, number]|null}} FormatInfo
 * @typedef {{bytes: number, pixels: number, seconds: number}} Limits
 * @typedef {{version: string, default: string, engines: EngineInfo[], scale: number, model: string,
 *   formats: FormatInfo[], limits: Limits}} ServerInfo
 * @typedef {{width: number, height: number}} Size
 * @typedef {{blob: Blob, name: string, engine: string, size: Size, source: Size, warnings: string[],
 *   timesMs: Record<string, number>, wholeMs: number}} Answer
 * @typedef {{state: "waiting", position: number}|{state: "working", share: number, phase: string}} Progress
 */

const UNREACHABLE = "The server does not answer. See that efdn-serve still runs, then try again.";

const GARBLED = "The answer is not one of efdn-serve. See what stands between it and this page, then try again.";

/** A type that was guessed from a name says nothing; the server looks into the file itself. */
const UNKNOWN = "application/octet-stream";

/** What the server refused, or that it did not answer (status 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message one line
   * @param {number|null} retrySeconds after which it may be asked again
   */
  constructor(status, message, retrySeconds = null) {
    super(message);
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

/** @returns {Promise<ServerInfo>} */
export async function fetchServer() {
  const response = await fetch("engines").catch(() => {
    throw new ApiError(0, UNREACHABLE);
  });
  if (!response.ok) throw new ApiError(response.status, errorLine(response.status, await response.text()));
  return response.json();
}

/**
 * What becomes of a request, null where the server does not know it (any more).
 *
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Progress|null>}
 */
export async function fetchProgress(id, signal) {
  const response = await fetch(`progress/${id}`, { signal, cache: "no-store" });
  return response.ok ? response.json() : null;
}

/**
 * Sends a picture and waits for the larger one. XMLHttpRequest, since fetch does not tell how much was sent.
 *
 * @param {Blob} body
 * @param {Record<string, string>} query
 * @param {{signal: AbortSignal, onSent: (share: number) => void, onAnswering: () => void}} options
 * @returns {Promise<Answer>} rejects with ApiError, or with AbortError where the signal says so
 */
export function upscale(body, query, { signal, onSent, onAnswering }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted());
    const request = new XMLHttpRequest();
    const start = performance.now();
    const stop = () => request.abort();
    const address = `upscale?${new URLSearchParams(query)}`;
    request.open("POST", address);
    request.responseType = "blob";
    request.setRequestHeader("Content-Type", /^(image|video)\//.test(body.type) ? body.type : UNKNOWN);
    request.upload.onprogress = (event) => onSent(event.total ? event.loaded / event.total : 1);
    request.upload.onload = () => onSent(1);
    request.onreadystatechange = () => {
      if (request.readyState !== XMLHttpRequest.HEADERS_RECEIVED) return;
      performance.clearResourceTimings(); // Its room is limited, and polling has filled it.
      onAnswering();
    };
    request.onload = () => {
      const wholeMs = performance.now() - start;
      if (request.status !== 200) refusalOf(request).then(reject, reject);
      else setTimeout(() => { // Once the network's times are there.
        try {
          resolve(answerOf(request, { wholeMs, ...networkTimes(address) }));
        } catch {
          reject(new ApiError(0, GARBLED));
        }
      });
    };
    request.onerror = () => reject(new ApiError(0, UNREACHABLE));
    request.onabort = () => reject(aborted());
    request.onloadend = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    request.send(body);
  });
}

/** @returns {DOMException} what a cancelled request is rejected with */
export function aborted() {
  return new DOMException("cancelled", "AbortError");
}

/** How long a request took as the browser's network saw it, which events tell only to 100 ms. */
function networkTimes(address) {
  const [entry] = performance.getEntriesByName(new URL(address, document.baseURI).href);
  if (!(entry instanceof PerformanceResourceTiming) || !entry.responseStart) return {};
  const wholeMs = entry.responseEnd - entry.startTime;
  return { wholeMs, receiveMs: entry.responseEnd - entry.responseStart };
}

/** @returns {Answer} */
function answerOf(request, { wholeMs, receiveMs = 0 }) {
  const header = (name) => request.getResponseHeader(name) ?? "";
  const timesMs = serverTiming(header("Server-Timing"));
  return {
    blob: request.response,
    name: fileName(header("Content-Disposition")),
    engine: header("X-Efdn-Engine"),
    size: sizeOf(header("X-Efdn-Size")),
    source: sizeOf(header("X-Efdn-Source")),
    warnings: JSON.parse(header("X-Efdn-Warnings") || "[]"),
    timesMs: { ...timesMs, receive: receiveMs },
    wholeMs,
  };
}

/** @returns {Promise<ApiError>} */
async function refusalOf(request) {
  const line = errorLine(request.status, await request.response.text());
  const after = Number.parseInt(request.getResponseHeader("Retry-After") ?? "", 10);
  return new ApiError(request.status, line, request.status === 503 ? Math.max(1, after || 5) : null);
}

/** The line that the server's JSON holds; something between may have answered with HTML. */
function errorLine(status, text) {
  try {
    const { error } = JSON.parse(text);
    if (typeof error === "string" && error) return error;
  } catch {
    // Not JSON: below.
  }
  return `The server answered with status ${status}. Try again, or look into its log.`;
}

/** "wait;dur=1.5, read;dur=20" -> {wait: 1.5, read: 20} */
export function serverTiming(text) {
  const parts = [...text.matchAll(/([\w-]+)[^,]*?;\s*dur=([\d.]+)/g)];
  return Object.fromEntries(parts.map(([, name, ms]) => [name, Number(ms)]));
}

/** The name in a Content-Disposition, the extended form first. */
export function fileName(text) {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(text);
  if (extended) return decodeURIComponent(extended[1]);
  const quoted = /filename="((?:[^"\\]|\\.)*)"/i.exec(text);
  return quoted ? quoted[1].replace(/\\(.)/g, "$1") : /filename=([^;]+)/i.exec(text)?.[1] ?? "result";
}

/** @returns {Size} */
function sizeOf(text) {
  const [width, height] = text.split("x").map(Number);
  return { width: width || 0, height: height || 0 };
}
