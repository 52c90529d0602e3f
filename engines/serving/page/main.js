/**
 * The page: binds pictures that come in, requests, comparison and panel.
 *
 * @typedef {import("./session.js").Run} Run
 * @typedef {import("./settings.js").Choice} Choice
 */
import { ApiError, fetchServer } from "./api.js";
import { Comparison } from "./comparison.js";
import { byId } from "./dom.js";
import { listen, onZoomKey } from "./gestures.js";
import { listenForPictures } from "./intake.js";
import { showRun, showRuns } from "./panel.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { clearError, note, say, showError, showStep } from "./status.js";
import { bytes, duration, kindOf, limit, short, size } from "./words.js";

class Page {
  constructor() {
    /** @type {import("./api.js").ServerInfo|null} */ this.server = null;
    /** @type {Session|null} */ this.session = null;
    /** @type {Run|null} */ this.shown = null;
    /** The last that was finished, of this picture or an earlier one. */
    /** @type {{session: Session, run: Run}|null} */ this.finished = null;
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

  /** @param {string} mode start, work, done, or stopped: with a picture but no result */
  set mode(mode) {
    document.body.dataset.mode = mode;
    if (mode !== "work") document.title = "EFDN";
    byId("again").disabled = this.session === null || mode === "work";
    byId("again").textContent = this.session ? `Upscale ${short(this.session.file.name)} again` : "Upscale again";
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
    const image = await session.picture;
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
      if (current()) this.fail(error);
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
    if (this.session) this.finished = { session: this.session, run };
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

  /** What was there before is there again: the last result, else the picture as far as it could be shown. */
  stop() {
    if (this.finished) {
      this.session = this.finished.session;
      this.show(this.finished.run);
    } else {
      this.mode = byId("before").firstElementChild ? "stopped" : "start";
    }
  }

  /** @param {unknown} error */
  fail(error) {
    const { session } = this;
    const retry = () => this.retry(session);
    const name = session?.file.name ?? "";
    const isPicture = byId("before").firstElementChild || session?.file.type.startsWith("image/");
    if (!isPicture && error instanceof ApiError && [415, 422].includes(error.status)) this.session = null;
    this.stop();
    if (error instanceof DOMException && error.name === "AbortError") {
      say("Cancelled.");
      const other = this.session !== session;
      note(other ? `${name}: cancelled.` : "Cancelled.", other ? { [`Upscale ${short(name)}`]: retry } : {});
      (this.mode === "start" ? byId("drop") : byId("again")).focus();
      return;
    }
    say("Failed.");
    this.explain(error, name, retry);
  }

  /** @param {unknown} error @param {string} name of the picture @param {() => void} retry */
  explain(error, name, retry) {
    const line = error instanceof Error ? error.message : String(error);
    const another = { "Choose another picture": () => byId("file").click() };
    const opaque = /(\w+) holds no alpha\b/.exec(line);
    if (opaque) {
      const text = `${name} has transparency, which ${opaque[1]} cannot hold: choose a Background under More, or another Format.`;
      showError(text, { [`Upscale ${short(name)}`]: retry, ...another });
      this.settings.showBackground();
      return;
    }
    const worth = !(error instanceof ApiError) || error.status === 0 || error.status >= 500 || error.status === 408;
    showError(line, worth ? { "Try again": retry, ...another } : another);
    byId("alert").querySelector("button")?.focus();
  }

  /** With what is set by now. @param {Session|null} session */
  retry(session) {
    note("");
    if (session !== this.session) {
      this.session?.cancel();
      this.session = session;
      this.forget();
    }
    this.upscale(this.settings.choice());
  }
}

new Page();
