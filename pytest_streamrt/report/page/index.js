// The list of a run's pages: to filter, to sort, to click on. Names of tests go in as textContent, as everything does.
const { summary, tests } = JSON.parse(document.querySelector("#data").textContent);
const $ = (selector) => document.querySelector(selector);
let by = null;
let down = false;

function cell(text, className = "") {
  return Object.assign(document.createElement("td"), { textContent: text, className });
}

function row(test) {
  const made = document.createElement("tr");
  const name = document.createElement("td");
  name.append(Object.assign(document.createElement("a"), { href: test.href, textContent: test.name }));
  name.append(Object.assign(document.createElement("small"), { textContent: test.sources.slice(0, 8).join(", ") + (test.sources.length > 8 ? ", …" : "") }));
  for (const problem of test.problems) name.append(Object.assign(document.createElement("small"), { textContent: problem, className: "bad" }));
  const time = `${Number(test.seconds.toFixed(3))} s`;
  made.append(name, cell(test.outcome, test.outcome), cell(time), cell(test.events.toLocaleString("en")), cell(test.stopped || ""));
  return made;
}

function list() {
  const query = $("#search").value.toLowerCase();
  let shown = tests.filter((test) => test.name.toLowerCase().includes(query) && (!$("#failed").checked || test.outcome === "failed"));
  if (by) shown = [...shown].sort((a, b) => (a[by] < b[by] ? -1 : a[by] > b[by] ? 1 : 0) * (down ? -1 : 1));
  $("tbody").replaceChildren(...shown.map(row));
}

$("#summary").textContent = summary;
$("#search").addEventListener("input", list);
$("#failed").addEventListener("change", list);
document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
  down = by === button.dataset.key ? !down : button.dataset.key !== "name";
  by = button.dataset.key;
  document.querySelectorAll("th").forEach((head) => head.setAttribute("aria-sort", "none"));
  button.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending");
  list();
}));
list();
document.documentElement.dataset.ready = "yes";
