for (const block of document.querySelectorAll("pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block);
      button.textContent = "Selected";
    }
  });
  const frame = document.createElement("div");
  frame.className = "code";
  block.replaceWith(frame);
  frame.append(button, block);
}
const GAP_PX = 3; // between the frames of a strip, as stored
for (const figure of document.querySelectorAll("figure[data-frames]")) {
  const strip = figure.querySelector("img");
  const count = Number(figure.dataset.frames);
  let moving = null;
  const stop = () => {
    moving?.remove();
    moving = null;
  };
  const play = () => {
    if (moving || count < 2 || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const scale = strip.clientWidth / strip.naturalWidth;
    const step = ((strip.naturalWidth + GAP_PX) / count) * scale;
    moving = document.createElement("div");
    moving.className = "moving";
    moving.style.width = `${step - GAP_PX * scale}px`;
    moving.style.height = `${strip.clientHeight}px`;
    moving.style.backgroundImage = `url(${strip.src})`;
    moving.style.backgroundSize = `${strip.clientWidth}px ${strip.clientHeight}px`;
    figure.append(moving);
    const places = [{ backgroundPositionX: "0px" }, { backgroundPositionX: `${-step * count}px` }];
    moving.animate(places, { duration: 250 * count, easing: `steps(${count})`, iterations: Infinity });
  };
  for (const name of ["pointerenter", "focus"]) figure.addEventListener(name, play);
  for (const name of ["pointerleave", "blur"]) figure.addEventListener(name, stop);
}
const search = document.querySelector("#search");
if (search) {
  const rows = document.querySelectorAll("[data-class]");
  search.closest("p").hidden = false;
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLocaleLowerCase();
    for (const row of rows) row.hidden = !row.dataset.class.toLocaleLowerCase().includes(wanted);
    if (wanted) for (const part of document.querySelectorAll("details.classes")) part.open = true;
  });
}
