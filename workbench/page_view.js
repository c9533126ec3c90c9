// Copyright 2026 The HTR-ConvText for transformers authors.
// SPDX-License-Identifier: Apache-2.0
// The page of the tab Read: a line of the text shows its place, a place its text; Correct opens the line there.
element.addEventListener("click", event => {
  const edit = event.target.closest("[data-correct]");
  if (edit) {
    window.workbenchWanted = {page: edit.dataset.page, number: Number(edit.dataset.correct)};
    for (const tab of document.querySelectorAll('button[role="tab"]'))
      if (tab.textContent.trim() === "Correct") tab.click();
    window.dispatchEvent(new Event("workbench-correct"));
    return;
  }
  const chosen = event.target.closest("[data-line]");
  if (!chosen) return;
  for (const before of element.querySelectorAll(".here")) before.classList.remove("here");
  for (const each of element.querySelectorAll(`[data-line="${chosen.dataset.line}"]`)) {
    each.classList.add("here");
    if (each !== chosen) each.scrollIntoView({block: "nearest", inline: "nearest"});
  }
});
