/**
 * The page: binds pictures that come in, requests, comparison and panel.
 *
 * @typedef {import("./session.js").Run} Run
 * @typedef {import("./settings.js").Choice} Choice
 */
import { ApiError, fetchServer } from "./api.js";
import { Comparison } from "./comparison.js";
import { byId, decoded } from "./dom.js";
import { listen, onZoomKey } from "./gestures.js";
import { listenForPictures } from "./intake.js";
import { showRun, showRuns } from "./panel.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { clearError, note, say, showError, showStep } from "./status.js";
import { bytes, duration, kindOf, limit, size } from "./words.js";

class Page {
  constructor() {
    /** @type {import("./api.js").ServerInfo|null} */ this.server = null;
    /** @type {Session|null} */ this.session = null;
    /** @type {Run|null} */ this.shown = null;
    this.downloadUrl = "";
    this.settings = new Settings((choice) => {
      note("");
      this.upscale(choice);
    });
    const parts = ["viewer", "before", "after", "divider", "zoom", "hint"].map((id) => [id, byId(id)]);
    const labels = { beforeLabel: byId("before-label"), afterLabel: byId("after-label") };
    this.comparison = new Comparison({ ...Object.fromEntries(parts), ...labels });
    this.bind();
    this.connect();
  }

  bind() {
    const { comparison } = this;
    listen(comparison);
    listenForPictures((files) => this.open(files));
    byId("cancel").addEventListener("click", () => this.session?.cancel());
    byId("zoom-in").addEventListener("click", () => comparison.step(1));
    byId("zoom-out").addEventListener("click", () => comparison.step(-1));
    byId("zoom-fit").addEventListener("click", () => comparison.fit());
    byId("zoom-one").addEventListener("click", () => comparison.zoomTo(comparison.one));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.mode === "work") this.session?.cancel();
      else if (this.mode !== "start") onZoomKey(comparison, event);
    });
  }

  /** @returns {string} */
  get mode() {
    return document.body.dataset.mode ?? "start";
  }

  /** @param {string} mode start, work or done */
  set mode(mode) {
    document.body.dataset.mode = mode;
    if (mode !== "work") document.title = "EFDN";
    byId("again").disabled = this.session === null || mode === "work";
    if (mode !== "start") this.comparison.measure();
  }

  async connect() {
    try {
      this.server = await fetchServer();
    } catch (error) {
      showError(error instanceof Error ? error.message : String(error), { "Try again": () => this.connect() });
      return;
    }
    clearError();
    const { limits, scale } = this.server;
    this.settings.fill(this.server);
    byId("tagline").textContent = `Super-resolution, ${scale} times, beside bicubic`;
    byId("limits").textContent =
      `Up to ${limit(limits.bytes)} and ${Number((limits.pixels / 1e6).toPrecision(3))} megapixels. It goes to this server only.`;
  }

  /** The newest picture wins: what was under way for another is given up. @param {File[]} files */
  async open(files) {
    const [file] = files;
    clearError();
    note(files.length > 1 ? `${files.length} files came; ${file.name} is taken, the others are left.` : "");
    const refused = this.refusal(file);
    if (refused) {
      showError(refused, { "Choose another picture": () => byId("file").click() });
      return;
    }
    this.session?.cancel();
    const session = (this.session = new Session(file));
    this.forget();
    this.upscale(this.settings.choice());
    const image = await decoded(file);
    const stillFirst = this.session === session && this.mode === "work" && !byId("before").firstElementChild;
    if (!image || !stillFirst) return;
    const scale = this.server?.scale ?? 1;
    const expected = { width: image.naturalWidth * scale, height: image.naturalHeight * scale };
    this.comparison.show(expected, { image, label: "the picture itself" }, null);
  }

  /** Why a file need not be sent at all; empty if it may be. @param {File} file */
  refusal({ name, size: length }) {
    const most = this.server?.limits.bytes ?? Infinity;
    if (length === 0) return `${name} is empty: choose another picture.`;
    if (length <= most) return "";
    return `${name} has ${bytes(length)}, and this server takes ${limit(most)} at most: choose a smaller picture.`;
  }

  /** What is shown of an earlier picture. */
  forget() {
    this.shown = null;
    this.comparison.clear();
    byId("result").hidden = true;
    showRuns([], null, () => {});
  }

  /** @param {Choice} choice */
  async upscale(choice) {
    const { session } = this;
    if (session === null) return;
    clearError();
    this.mode = "work";
    byId("unseen").textContent = "";
    byId("work").scrollIntoView({ block: "nearest" }); // On a phone, the settings lie below.
    const current = () => this.session === session;
    const onStep = (step) => current() && showStep(step);
    const onBicubic = (bicubic) => current() && this.showBicubic(bicubic);
    try {
      const run = await session.run(choice, onStep, onBicubic);
      if (current()) this.finish(run);
    } catch (error) {
      if (current()) this.fail(error, choice);
    }
  }

  /** @param {import("./session.js").Enlarged} bicubic */
  showBicubic({ image, answer }) {
    if (image && this.shown === null) this.comparison.show(answer.size, { image, label: "bicubic" }, null);
  }

  /** @param {Run} run */
  finish(run) {
    this.show(run);
    say(`Done in ${duration(run.efdn.answer.wholeMs)}.`);
    const lost = [document.body, byId("cancel"), byId("drop"), byId("another")].includes(document.activeElement);
    if (lost) (run.efdn.image ? byId("divider") : byId("download")).focus({ preventScroll: true });
    fetchServer().then((server) => this.settings.refresh(server), () => {}); // An engine may have been opened.
  }

  /** @param {Run} run */
  show(run) {
    const { bicubic, efdn } = run;
    this.shown = run;
    this.mode = "done";
    const label = run.choice.efdn.frames ? "bicubic, first frame" : "bicubic";
    const before = bicubic.image && { image: bicubic.image, label };
    const after = efdn.image && { image: efdn.image, label: "EFDN" };
    const first = before ?? after;
    if (first) this.comparison.show(efdn.answer.size, first, before && after);
    else this.comparison.clear();
    const what = `${kindOf(efdn.answer)}, ${size(efdn.answer.size)}`;
    const advice = `This browser cannot show the result (${what}): download it.${before ? " Bicubic is shown." : ""}`;
    byId("unseen").textContent = after ? "" : advice;
    this.offer(run);
    showRun(run, this.session?.file.size ?? 0);
    showRuns(this.session?.runs ?? [], run, (other) => this.mode === "done" && this.show(other));
  }

  /** The file as the server gave it. @param {Run} run */
  offer({ efdn: { answer } }) {
    URL.revokeObjectURL(this.downloadUrl);
    this.downloadUrl = URL.createObjectURL(answer.blob);
    const link = byId("download");
    link.href = this.downloadUrl;
    link.download = answer.name;
    link.textContent = `Download ${kindOf(answer)}, ${bytes(answer.blob.size)}`;
  }

  /** @param {unknown} error @param {Choice} choice */
  fail(error, choice) {
    if (this.shown) this.show(this.shown);
    else this.mode = "start";
    const back = () => (this.shown ? byId("again") : byId("drop")).focus();
    if (error instanceof DOMException && error.name === "AbortError") {
      note("Cancelled.");
      return back();
    }
    const line = error instanceof Error ? error.message : String(error);
    const another = { "Choose another picture": () => byId("file").click() };
    const again = { "Try again": () => this.upscale(choice) };
    const worth = !(error instanceof ApiError) || error.status === 0 || error.status >= 500 || error.status === 408;
    showError(line, worth ? { ...again, ...another } : another);
    byId("alert").querySelector("button")?.focus();
  }
}

new Page();
