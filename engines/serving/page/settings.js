/**
 * The form: what is wanted of the next run.
 *
 * @typedef {import("./api.js").ServerInfo} ServerInfo
 * @typedef {Record<string, string>} Query
 * @typedef {{engine: string, efdn: Query, bicubic: Query}} Choice the queries of the two requests
 */
import { byId, made } from "./dom.js";

const BICUBIC = "bicubic";
const USUAL_QUALITY = { jpg: 95, avif: 90 };
/** Shown beside the result, so any browser must take it; 16 bits and CMYK would not be seen. */
const SHOWN = { engine: BICUBIC, format: "png", color: "rgb", bits: "8", compression: "1" };

export class Settings {
  /** @param {(choice: Choice) => void} again */
  constructor(again) {
    this.form = byId("settings");
    /** @type {ServerInfo|null} */ this.server = null;
    // Heard before what the form hears. Focus alone, or a change elsewhere, asks for no quality.
    byId("quality").addEventListener("input", (event) => (event.target.dataset.touched = "yes"));
    this.form.addEventListener("change", () => this.adapt());
    this.form.addEventListener("input", () => this.adapt());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      again(this.choice());
    });
  }

  /** @param {ServerInfo} server */
  fill(server) {
    const sizes = [...new Set([server.scale, 2, 3, 8])].map((scale) =>
      made("option", { value: scale === server.scale ? "" : String(scale) }, `${scale} times`),
    );
    byId("size").replaceChildren(...sizes, made("option", { value: "other" }, "other …"));
    const formats = server.formats.map((format) => made("option", { value: format.ending }, format.name));
    byId("format").replaceChildren(
      made("option", { value: "" }, "lossless"),
      made("option", { value: "same" }, "as the picture"),
      ...formats,
    );
    this.refresh(server);
  }

  /** Engines open when they are first used, so what is said of them changes. @param {ServerInfo} server */
  refresh(server) {
    this.server = server;
    const engines = server.engines.filter((engine) => engine.name !== BICUBIC);
    const chosen = byId("engine").value || server.default;
    byId("engine").replaceChildren(...engines.map((engine) => engineOption(engine, chosen)));
    const missing = engines.filter((engine) => engine.state === "unavailable");
    const why = missing.map((engine) => made("li", {}, made("b", {}, engine.name), `: ${engine.reason ?? ""}`));
    byId("missing").hidden = !why.length;
    byId("closed").replaceChildren(...why);
    this.adapt();
  }

  /** Shows what belongs to the engine, size and format chosen. */
  adapt() {
    const engine = this.server?.engines.find((one) => one.name === byId("engine").value);
    const opens = engine?.state === "closed" ? "Opened when first used." : "";
    byId("engine-detail").textContent = [engine?.detail, opens].filter(Boolean).join(" · ");
    byId("other-size").hidden = byId("size").value !== "other";
    const format = this.format;
    byId("format-note").hidden = byId("format").value !== "";
    byId("quality-row").hidden = !format?.qualities;
    const quality = byId("quality");
    if (format?.qualities && quality.dataset.format !== format.ending) {
      [quality.min, quality.max] = format.qualities.map(String);
      quality.value = String(USUAL_QUALITY[format.ending] ?? format.qualities[1]);
      quality.dataset.format = format.ending;
      quality.dataset.touched = "";
    }
    byId("quality-value").textContent = this.asksQuality ? quality.value : "lossless";
  }

  /** Where a colour to put transparent pictures on is chosen. */
  showBackground() {
    byId("more").open = true;
    byId("background").focus();
  }

  get format() {
    return this.server?.formats.find((one) => one.ending === byId("format").value);
  }

  /** WebP is lossless unless a quality is asked for. */
  get asksQuality() {
    const ending = this.format?.ending ?? "";
    return ending in USUAL_QUALITY || byId("quality").dataset.touched === "yes";
  }

  /** @returns {Choice} */
  choice() {
    const value = (id) => (byId(id).value ? { [id]: byId(id).value } : {});
    const both = { ...this.wantedSize(), ...value("background") };
    const quality = this.format?.qualities && this.asksQuality ? value("quality") : {};
    const engine = byId("engine").value || "auto";
    const efdn = { engine, ...both, ...value("format"), ...quality, ...value("alpha"), ...value("color"), ...value("bits") };
    Object.assign(efdn, value("frames")); // Bicubic shows the first: pages may differ in size, which PNG cannot hold.
    return { engine, efdn, bicubic: { ...both, ...SHOWN } };
  }

  /** @returns {Query} */
  wantedSize() {
    const chosen = byId("size").value;
    if (chosen !== "other") return chosen ? { scale: chosen } : {};
    const text = byId("size-text").value.trim().replace(/\s*[x×]\s*/i, "x");
    if (!text) return {};
    return /^\d*\.?\d+$/.test(text) ? { scale: text } : { size: text };
  }
}

function engineOption(engine, chosen) {
  const option = /** @type {HTMLOptionElement} */ (made("option", { value: engine.name }, engine.name));
  option.disabled = engine.state === "unavailable";
  option.selected = engine.name === chosen && !option.disabled;
  if (option.disabled) {
    option.textContent = `${engine.name} (cannot run here)`;
    option.title = engine.reason ?? "";
  }
  return option;
}
