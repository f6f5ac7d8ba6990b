import { html, render, useEffect, useRef, useState } from "./htm-preact-3.1.1.js";

const CATEGORIES = ["character", "copyright", "general", "artist", "meta", "uncatalogued"];
const SHOWN = 40;
const PAUSE_MS = 120;

/** As the command writes it: what is not quite all or nothing does not become so by rounding. */
function percent(share, digits = 0) {
  const rounded = Number((100 * share).toFixed(digits));
  if (share > 0 && share < 1) {
    if (rounded >= 100) return `>${(100 - 10 ** -digits).toFixed(digits)} %`;
    if (rounded <= 0) return `<${(10 ** -digits).toFixed(digits)} %`;
  }
  return `${(100 * share).toFixed(share === 0 || share === 1 ? 0 : digits)} %`;
}

const chance = (item) => percent(item.implied ? item.probability : Math.min(item.probability, 1 - 1e-9), 1);
const count = (number) => number.toLocaleString("en");

function observed(seen) {
  if (seen.share === null) return "never seen";
  const counts = `${count(seen.together)} of ${count(seen.posts)}`;
  return seen.posts < 5 ? counts : `${percent(seen.share)} (${counts})`;
}

/** A tag as a prompt has it; image generators take parentheses for emphasis unless they are escaped. */
function inPrompt(tag, form) {
  const name = form.spaces && tag.length > 3 ? tag.replaceAll("_", " ") : tag; // ^_^ and @_@ are no words
  return form.escaped ? name.replace(/[()]/g, "\\$&") : name;
}

async function ask(path, body, signal) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, { ...(body ? post : {}), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer. Is `booru serve` still running?");
  }
  if (answer.status === 503) {
    await new Promise((resolve) => setTimeout(resolve, 1000)); // it opens a checkpoint, or many ask at once
    return ask(path, body, signal);
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.error ?? `the server answers ${answer.status}.`);
  return content;
}

/** What a promise gives for what it depends on, after a pause; the one before is given up. */
function useAnswer(get, depends, pause = PAUSE_MS) {
  const [state, setState] = useState({});
  useEffect(() => {
    const given = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const value = await get(given.signal);
        if (!given.signal.aborted) setState({ value });
      } catch (error) {
        if (!given.signal.aborted) setState({ error: error.message });
      }
    }, pause);
    return () => (clearTimeout(timer), given.abort());
  }, depends);
  return state;
}

function readLink() {
  const found = new URLSearchParams(location.hash.slice(1));
  return { tags: found.getAll("tag"), one: found.get("checkpoint") ?? "", other: found.get("beside") ?? "" };
}

/** State that is the link, so that it can be shared, and back and forward work. */
function useLink() {
  const [link, setLink] = useState(readLink);
  useEffect(() => {
    const follow = () => setLink(readLink());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const change = (next) => {
    const pairs = next.tags.map((tag) => ["tag", tag]);
    if (next.one) pairs.push(["checkpoint", next.one]);
    if (next.other) pairs.push(["beside", next.other]);
    history.pushState(null, "", `#${new URLSearchParams(pairs)}`);
    setLink(next);
  };
  return [link, (part) => change({ ...link, ...part })];
}

/** A choice that is remembered where the browser allows it. */
function useKept(name, first) {
  const [value, setValue] = useState(() => {
    try {
      return { ...first, ...JSON.parse(localStorage.getItem(name)) };
    } catch {
      return first;
    }
  });
  return [
    value,
    (next) => {
      setValue(next);
      try {
        localStorage.setItem(name, JSON.stringify(next));
      } catch {
        // A browser may forbid it; the choice then holds for this page.
      }
    },
  ];
}

/** The tags and the field for more: a combobox with a list of names (ARIA Authoring Practices). */
function Entry({ tags, apart, checkpoint, add, remove }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  const list = "names";
  const input = useRef();
  const query = `/api/tags?limit=12&q=${encodeURIComponent(text.trim())}${checkpoint && `&checkpoint=${encodeURIComponent(checkpoint)}`}`;
  const { value } = useAnswer((signal) => (text.trim() ? ask(query, null, signal) : []), [query], 60);
  const names = (value ?? []).filter((name) => !tags.includes(name.tag));
  const shown = isOpen && text.trim() !== "" && names.length > 0;

  const take = (tag) => {
    if (tag?.trim()) add(tag.trim());
    setText("");
    setAt(-1);
    setOpen(false);
    input.current.focus();
  };
  const press = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      if (names.length) setAt((at + (event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1) + names.length) % names.length);
    } else if (event.key === "Enter" || event.key === "," || (event.key === "Tab" && shown && at >= 0)) {
      if (event.key === "," && /[([{]/.test(text)) return; // within a prompt's brackets it is text
      event.preventDefault();
      take(shown && at >= 0 ? names[at].tag : text);
    } else if (event.key === "Escape") {
      setOpen(false);
      setAt(-1);
    } else if (event.key === "Backspace" && !text && tags.length) {
      remove(tags.at(-1));
    }
  };

  return html`<div class="entry">
    <div class="field">
      ${tags.map(
        (tag) => html`<span key=${tag} class=${apart.has(tag) ? "chip apart" : "chip"}
          >${tag}<button aria-label=${`remove ${tag}`} onClick=${() => (remove(tag), input.current.focus())}>×</button></span
        >`,
      )}
      <input
        ref=${input}
        value=${text}
        role="combobox"
        aria-label="Tags that the picture has"
        aria-autocomplete="list"
        aria-expanded=${shown ? "true" : "false"}
        aria-controls=${list}
        aria-activedescendant=${shown && at >= 0 ? `${list}-${at}` : undefined}
        autocomplete="off"
        autocapitalize="none"
        spellcheck=${false}
        placeholder=${tags.length ? "one more" : "a tag, or a whole prompt"}
        onInput=${(event) => (setText(event.target.value), setAt(-1), setOpen(true))}
        onKeyDown=${press}
        onBlur=${() => setOpen(false)}
      />
    </div>
    <ul id=${list} class="names" role="listbox" aria-label="Names" hidden=${!shown}>
      ${names.map(
        (name, place) => html`<li
          key=${name.tag}
          id=${`${list}-${place}`}
          role="option"
          aria-selected=${place === at ? "true" : "false"}
          onMouseDown=${(event) => event.preventDefault()}
          onClick=${() => take(name.tag)}
        >
          <b>${name.alias ? `${name.alias} → ${name.tag}` : name.tag}</b>
          <span>${name.category} · ${count(name.posts)}</span>
        </li>`,
      )}
    </ul>
  </div>`;
}

function Why({ item }) {
  const found = item.explanation;
  const strongest = found?.strongest;
  return html`<details>
    <summary aria-label=${`why ${item.tag}`}>why</summary>
    <div>observed ${observed(item.observed)}${found && html`, T5 alone ${percent(found.t5, 1)}`}</div>
    ${strongest && html`<div>most from ${strongest.tags[0]}: ${observed(strongest)}</div>`}
    ${found?.without && html`<div>without ${found.without}: ${percent(found.probability_without, 1)}</div>`}
    ${item.implied && html`<div>an implication says so: Danbooru adds it by itself</div>`}
  </details>`;
}

function Row({ item, other, add }) {
  const less = other === undefined ? null : item.probability - other;
  return html`<li class="row">
    <button class="add" aria-label=${`add ${item.tag}, ${chance(item)}`} onClick=${() => add(item.tag)}>
      <i style=${{ width: `${100 * item.probability}%` }}></i><b>${item.tag}</b>
      <span>${item.implied ? "implied" : chance(item)}</span>
    </button>
    <span class="seen">${item.observed.share === null ? "never seen" : `seen ${percent(item.observed.share)}`} · T5 ${percent(item.explanation.t5)}</span>
    <${Why} item=${item} />
    ${less !== null && Math.abs(less) >= 0.1 && html`<span class="differs">${less > 0 ? "+" : "−"}${percent(Math.abs(less))} here</span>`}
  </li>`;
}

function Exclusive({ pairs }) {
  const said = ({ first, second, together, either }) =>
    `${first} and ${second}: together on ${count(together)} of ${count(either)} posts with either`;
  return html`<details class="muted">
    <summary>${pairs.length} ${pairs.length === 1 ? "pair" : "pairs"} of these exclude each other</summary>
    ${pairs.map((pair) => html`<div key=${`${pair.first} ${pair.second}`}>${said(pair)}</div>`)}
  </details>`;
}

function Answer({ answer, beside, add, place }) {
  const theirs = beside && new Map(beside.suggestions.map((item) => [item.tag, item.probability]));
  const groups = new Map(CATEGORIES.map((name) => [name, answer.suggestions.filter((item) => item.category === name)]));
  return html`<section class="answer" aria-label=${`What ${answer.checkpoint} says, ${place}`}>
    <h2>${answer.checkpoint} <span class="muted">${count(answer.posts)} posts with ${answer.observed_on.join(", ") || "none of these"}</span></h2>
    ${answer.notes.map((note) => html`<p class="warn" key=${note}>${note}</p>`)}
    ${answer.exclusive.length > 0 && html`<${Exclusive} pairs=${answer.exclusive} />`}
    ${CATEGORIES.filter((name) => groups.get(name).length).map(
      (name) => html`<h3 key=${name}>${name}</h3>
        <ul>
          ${groups.get(name).map((item) => html`<${Row} key=${item.tag} item=${item} other=${theirs && (theirs.get(item.tag) ?? 0)} add=${add} />`)}
        </ul>`,
    )}
  </section>`;
}

function Prompt({ tags }) {
  const [form, setForm] = useKept("booru prompt", { spaces: true, escaped: true });
  const [said, setSaid] = useState("");
  const shown = useRef();
  const text = tags.map((tag) => inPrompt(tag, form)).join(", ");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("copied");
    } catch {
      getSelection().selectAllChildren(shown.current); // a browser copies nothing for a page without https
      setSaid("selected: copy it with Ctrl-C");
    }
  };
  const box = (name, words) => html`<label
    ><input type="checkbox" checked=${form[name]} onChange=${(event) => setForm({ ...form, [name]: event.target.checked })} />${words}</label
  >`;
  return html`<div class="bar">
      <button onClick=${copy}>Copy as a prompt</button>
      ${box("spaces", "spaces for underscores")} ${box("escaped", "escaped parentheses")}
      <span class="muted" role="status">${said}</span>
    </div>
    <output class="prompt" ref=${shown}>${text}</output>`;
}

function Choice({ label, value, choices, none, change }) {
  return html`<label
    >${label}
    <select value=${value} onChange=${(event) => change(event.target.value)}>
      <option value="">${none}</option>
      ${choices.map((choice) => html`<option value=${choice.name} key=${choice.name}>${choice.name}${choice.is_promoted ? " (promoted)" : ""}</option>`)}
    </select>
  </label>`;
}

function App() {
  const [link, change] = useLink();
  const { tags, one, other } = link;
  const { value: choices = [] } = useAnswer((signal) => ask("/api/checkpoints", null, signal), [], 0);
  const question = (checkpoint) => ({ tags, top: SHOWN, explain: true, checkpoint: checkpoint || null });
  const asked = JSON.stringify([tags, one, other]);
  const both = useAnswer(
    (signal) => {
      const checkpoints = !tags.length ? [] : other ? [one, other] : [one];
      return Promise.all(checkpoints.map((checkpoint) => ask("/api/suggest", question(checkpoint), signal)));
    },
    [asked],
  );
  const answers = tags.length ? (both.value ?? []) : [];
  const [first, second] = answers;
  const apart = new Set((first?.apart ?? []).flatMap((pair) => [pair.first, pair.second]));
  const add = (tag) => !tags.includes(tag) && change({ tags: [...tags, tag] });
  const remove = (tag) => change({ tags: tags.filter((kept) => kept !== tag) });
  const said = both.error ?? (tags.length ? `${first?.suggestions.length ?? 0} suggestions` : "Say what the picture has, and see what that implies.");

  return html`<header><h1>Ask the tags</h1><a href="/reports/">reports</a></header>
    <main>
      <${Entry} tags=${tags} apart=${apart} checkpoint=${one} add=${add} remove=${remove} />
      <div class="bar">
        <${Choice} label="checkpoint" value=${one} choices=${choices} none="the one in use" change=${(name) => change({ one: name })} />
        <${Choice} label="beside" value=${other} choices=${choices} none="none" change=${(name) => change({ other: name })} />
        ${tags.length > 0 && html`<button onClick=${() => change({ tags: [] })}>Clear</button>`}
      </div>
      ${tags.length > 0 && html`<${Prompt} tags=${first ? [...first.given, ...first.left_out.map((item) => item.tag)] : tags} />`}
      <p class=${both.error ? "warn" : "status"} role="status">${said}</p>
      <div class="columns">
        ${!both.error && first && html`<${Answer} key="first" place="first" answer=${first} beside=${second} add=${add} />`}
        ${!both.error && second && html`<${Answer} key="second" place="second" answer=${second} beside=${first} add=${add} />`}
      </div>
    </main>`;
}

render(html`<${App} />`, document.getElementById("app"));
