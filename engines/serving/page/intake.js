/** How pictures come in: chosen, dropped anywhere on the page, or pasted. */
import { byId } from "./dom.js";

/** @param {(files: File[]) => void} take given one file or more */
export function listenForPictures(take) {
  const input = byId("file");
  const choose = () => input.click();
  byId("drop").addEventListener("click", choose);
  byId("another").addEventListener("click", choose);
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // So that the same file can be chosen again.
    if (files.length) take(files);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  listenForDrops(take);
}

function listenForDrops(take) {
  // Entering a child comes before leaving its parent, so a count tells when the page itself is left.
  let depth = 0;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  document.addEventListener("dragenter", (event) => holdsFiles(event) && mark(1));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && mark(-1));
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer === null || !holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("drop", (event) => {
    depth = 0;
    mark(0);
    if (event.dataTransfer === null || !holdsFiles(event)) return;
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
}
