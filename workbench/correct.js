// Copyright 2026 The HTR-ConvText for transformers authors.
// SPDX-License-Identifier: Apache-2.0
// The tab Correct. Gradio gives `element`, the component, and `server`, the functions of app.py: each takes one list.
const part = name => element.querySelector(`[data-part="${name}"]`);
const [picture, words, suggestions, text, message, progress, bar, where, order] = [
  "picture", "words", "suggestions", "text", "message", "progress", "bar", "where", "order",
].map(part);
let line = null;

const say = (sentence, bad = false) => {
  message.textContent = sentence;
  message.classList.toggle("bad", bad);
};

const make = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
};

function show(answer) {
  if (answer.error) {
    const typed = answer.line ? ` You had typed: ${text.value}` : "";
    say(answer.error + typed, true);
    if (!answer.line) return;
  }
  if (answer.counts) {
    bar.max = Math.max(answer.counts.total, 1);
    bar.value = answer.counts.done;
    progress.textContent = `${answer.counts.done} of ${answer.counts.total} lines have a text that counts`;
  }
  line = answer.line || null;
  element.querySelector(".wb-correct").classList.toggle("empty", !line);
  suggestions.replaceChildren();
  if (!line) {
    if (answer.message) say(answer.message);
    return;
  }
  if (!answer.error) say(answer.message || "");
  const sure = line.confidence === null ? "" : `, ${Math.round(100 * line.confidence)} % sure`;
  where.textContent = `Page ${line.page}, line ${line.place} of ${line.of}${sure}`;
  const image = make("img", {src: line.picture.uri, alt: `Line ${line.place} of page ${line.page}`,
                             width: line.picture.width, height: line.picture.height});
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("viewBox", `0 0 ${line.picture.width} ${line.picture.height}`);
  drawing.setAttribute("aria-hidden", "true");
  const outline = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
  outline.setAttribute("points", line.points);
  drawing.append(outline);
  picture.replaceChildren(image, drawing);
  picture.scrollTo(0, 0);
  words.replaceChildren(...line.words.flatMap(word => {
    const shown = make("span", {className: "wb-word", title: word.told, textContent: word.text});
    shown.style.setProperty("--doubt", word.doubt);
    return [shown, " "];
  }));
  const typed = draft(line);
  text.value = typed ?? line.text;
  if (typed !== null && !answer.error) say(`${answer.message || ""} What you had typed here is still there.`.trim());
  text.focus({preventScroll: true});
  offer(line);
}

// What is typed and not accepted yet outlives a reload, as long as the line is what it was: of each line, for several
// windows may be open, and another line may be chosen meanwhile.
const DRAFTS = "workbench-drafts";
const drafts = () => JSON.parse(localStorage.getItem(DRAFTS) || "{}");
const place = shown => `${shown.number} ${shown.page}`;

function draft(shown) {
  const kept = drafts()[place(shown)];
  return kept && kept.version === shown.version && kept.text !== shown.text ? kept.text : null;
}

function keep() {
  if (line) localStorage.setItem(DRAFTS, JSON.stringify(
    {...drafts(), [place(line)]: {version: line.version, text: text.value}}));
}

function forget(shown) {
  const {[place(shown)]: _, ...others} = drafts();
  localStorage.setItem(DRAFTS, JSON.stringify(others));
}

async function offer(shown) {
  const found = await server.suggest([shown.page, shown.number]);
  if (line !== shown || !Array.isArray(found)) return;
  suggestions.replaceChildren(...found.map((each, place) => {
    const made = make("button", {type: "button", className: "wb-suggestion"},
      make("kbd", {textContent: `Alt+${place + 1}`}), ` ${each.word} \u2192 `, make("b", {textContent: each.instead}));
    made.addEventListener("click", () => take(each));
    return made;
  }));
}

function take(suggestion) {
  const parts = text.value.split(" ");
  let place = parts[suggestion.place] === suggestion.word ? suggestion.place : parts.indexOf(suggestion.word);
  if (place < 0) return say(`The word ${suggestion.word} is not in the text any more.`, true);
  parts[place] = suggestion.instead;
  text.value = parts.join(" ");
  keep();
  text.focus();
}

// One request at a time; what is asked meanwhile follows. A line is finished with what stood in it when that was asked,
// whatever is shown by then. Who presses Enter twice means the same line, so that only the first counts.
let running = null;
const waiting = [];

function ask(call, finishes = false) {
  if (finishes && [running, ...waiting].some(each => each && each.finishes)) return;
  waiting.push({call, finishes});
  if (!running) work();
}

async function work() {
  element.querySelector(".wb-correct").classList.add("busy");
  while ((running = waiting.shift() || null)) {
    try {
      show(await running.call());
    } catch (error) {
      say("The workbench does not answer. Look whether it still runs, and press Enter again; your text is still here.", true);
    }
  }
  element.querySelector(".wb-correct").classList.remove("busy");
}

function finish(call, ...told) {
  if (!line) return;
  const finished = line, asked = [line.page, line.number, ...told, line.version, order.value];
  ask(async () => {
    const answer = await call(asked);
    if (!answer.error) forget(finished);
    return answer;
  }, true);
}

const next = () => ask(() => server.next_line([order.value]));
const accept = () => finish(server.accept, text.value);
const skip = () => finish(server.skip);
const undo = () => ask(() => server.undo([]));
const open = wanted => ask(() => server.open_line([wanted.page, wanted.number]));

part("accept").addEventListener("click", accept);
part("skip").addEventListener("click", skip);
part("undo").addEventListener("click", undo);
part("reload").addEventListener("click", next);
order.addEventListener("change", next);
text.addEventListener("input", keep);
element.addEventListener("keydown", event => {
  if (event.key === "Enter" && event.target === text && !event.isComposing) {
    event.preventDefault();
    event.ctrlKey || event.metaKey ? skip() : accept();
  } else if (event.altKey && event.code === "KeyZ") {
    event.preventDefault();
    undo();
  } else if (event.altKey && /^Digit[1-9]$/.test(event.code)) {
    const chosen = suggestions.children[Number(event.code.slice(5)) - 1];
    if (chosen) { event.preventDefault(); chosen.click(); }
  }
});

const wanted = () => {
  const asked = window.workbenchWanted;
  window.workbenchWanted = null;
  return asked;
};
window.addEventListener("workbench-correct", () => { const asked = wanted(); if (asked) open(asked); });
new IntersectionObserver(([seen]) => {
  if (!seen.isIntersecting) return;
  const asked = wanted();
  if (asked) open(asked);
  else if (!line && !running) next();
}).observe(element);
