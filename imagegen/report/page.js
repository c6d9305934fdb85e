"use strict";
// A thumbnail becomes a button that shows its picture in full. Without this script, all is there.
const dialog = document.querySelector("dialog");
const full = document.createElement("img");
const thumbnails = [...document.querySelectorAll(".pictures img")];
let current = 0;

function show(place) {
  current = (place + thumbnails.length) % thumbnails.length;
  const thumbnail = thumbnails[current];
  const caption = thumbnail.closest("figure").querySelector("figcaption");
  const model = thumbnail.closest("article").querySelector("h3");
  full.src = thumbnail.src;
  full.alt = thumbnail.alt;
  dialog.querySelector(".caption").textContent = caption.textContent;
  dialog.querySelector(".position").textContent =
    `${current + 1} of ${thumbnails.length}: ${model.textContent}`;
}

dialog.querySelector(".bar").after(full);
thumbnails.forEach((thumbnail, place) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "open";
  button.setAttribute("aria-haspopup", "dialog");
  thumbnail.replaceWith(button);
  button.append(thumbnail);
  button.addEventListener("click", () => {
    show(place);
    dialog.showModal();
  });
});

dialog.querySelector(".previous").addEventListener("click", () => show(current - 1));
dialog.querySelector(".next").addEventListener("click", () => show(current + 1));
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  show(current + step);
});
