import { html, render, useEffect, useRef, useState } from "./htm-preact-3.1.1.js";

const STACKS = [["character", "copyright", "artist", "meta"], ["general", "uncatalogued"]]; // who it is, what is seen
const SHOWN = 40;
const PAUSE_MS = 120;
const AGAIN_MS = 1000;
const DIFFERS = 0.05;

/** As the command writes it: what is not quite all or nothing does not become so by rounding. */
function percent(share, digits = 0) {
  const rounded = Number((100 * share).toFixed(digits));
  if (share > 0 && share < 1) {
    if (rounded >= 100) return `>${(100 - 10 ** -digits).toFixed(digits)}\u00a0%`;
    if (rounded <= 0) return `<${(10 ** -digits).toFixed(digits)}\u00a0%`;
  }
  return `${(100 * share).toFixed(share === 0 || share === 1 ? 0 : digits)}\u00a0%`;
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
  const isWords = /[\p{L}\p{N}]{2}/u.test(tag); // ^_^ and <|>_<|> are none
  const name = form.spaces && isWords ? tag.replaceAll("_", " ") : tag;
  return form.escaped ? name.replace(/[()]/g, "\\$&") : name;
}

/** A name that a narrow place breaks after an underscore. */
const breakable = (tag) => tag.split("_").map((part, place) => (place ? ["_", html`<wbr />`, part] : part));

async function ask(path, body, signal) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, { ...(body ? post : {}), signal }).catch((error) => {
    throw error.name === "AbortError" ? error : refusal("the server does not answer. Is `booru serve` still running?");
  });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw refusal(content.error ?? `the server answers ${answer.status}.`, answer.status === 503);
  return content;
}
const refusal = (why, passes = false) => Object.assign(new Error(why), { passes });

async function askHealth(signal) {
  const health = await ask("/api/health", null, signal);
  if (health.status !== "ok") throw refusal("the server has no checkpoint open yet.", true);
  return health;
}

/** What a promise gives for what it depends on, after a pause; the one before is given up. What passes is asked again. */
function useAnswer(get, depends, pause = PAUSE_MS) {
  const [state, setState] = useState({});
  useEffect(() => {
    const asking = new AbortController();
    const { signal } = asking;
    const run = async () => {
      try {
        const value = await get(signal);
        if (!signal.aborted) setState({ value });
      } catch (error) {
        if (signal.aborted) return;
        setState({ error: error.message });
        if (error.passes) timer = setTimeout(run, AGAIN_MS);
      }
    };
    let timer = setTimeout(run, pause);
    setState((before) => ({ ...before, isBusy: true }));
    return () => (clearTimeout(timer), asking.abort());
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
  useEffect(() => addEventListener("popstate", () => setLink(readLink())), []);
  const change = (part, isSame = false) => {
    const next = { ...link, ...part };
    const pairs = next.tags.map((tag) => ["tag", tag]);
    if (next.one) pairs.push(["checkpoint", next.one]);
    if (next.other) pairs.push(["beside", next.other]);
    history[isSame ? "replaceState" : "pushState"](null, "", `#${new URLSearchParams(pairs)}`);
    setLink(next);
  };
  return [link, change];
}

/** A choice that is remembered where the browser allows it. */
function useKept(name, first) {
  const tried = (use) => {
    try {
      return use();
    } catch {
      return {}; // a browser may forbid it; the choice then holds for this page
    }
  };
  const [value, setValue] = useState(() => ({ ...first, ...tried(() => JSON.parse(localStorage.getItem(name))) }));
  return [value, (next) => (setValue(next), tried(() => localStorage.setItem(name, JSON.stringify(next))))];
}

const UNTOUCHED = { text: "", at: -1, isOpen: false };

/** The tags and the field for more: a combobox with a list of names (ARIA Authoring Practices). */
function Entry({ tags, kinds, checkpoint, add, remove }) {
  const [{ text, at, isOpen }, setField] = useState(UNTOUCHED);
  const input = useRef();
  useEffect(() => void (!tags.length && matchMedia("(pointer: fine)").matches && input.current.focus()), []);
  const query = new URLSearchParams({ limit: 12, q: text.trim(), ...(checkpoint && { checkpoint }) });
  const { value } = useAnswer((signal) => (text.trim() ? ask(`/api/tags?${query}`, null, signal) : []), [`${query}`], 60);
  const names = (value ?? []).filter((name) => !tags.includes(name.tag));
  const shown = isOpen && text.trim() !== "" && names.length > 0;

  const take = (tag) => {
    if (tag.trim()) add(tag.trim());
    setField(UNTOUCHED);
    input.current.value = ""; // which it may be already, but for a comma
    input.current.focus();
  };
  // By keyboard, the focus goes on to the field; a tap would open a phone's keyboard by that.
  const drop = (event, tag) => (remove(tag), event.detail === 0 && input.current.focus());
  const chosen = shown && names[at]?.tag;
  const type = (event) => {
    const typed = event.target.value;
    // A comma ends a tag, but not within brackets; a phone's keyboard tells of it only here.
    if (!event.isComposing && typed.endsWith(",") && !/[([{<][^)\]}>]*$/.test(typed)) take(chosen || typed.slice(0, -1));
    else setField({ text: typed, at: -1, isOpen: true });
  };
  const paste = (event) => {
    const pasted = event.clipboardData.getData("text");
    if (!/[,\n]/.test(pasted)) return;
    event.preventDefault(); // a field would drop the ends of lines; the server knows how a prompt is read
    take(text + pasted);
  };
  const press = (event) => {
    if (event.isComposing) return; // the keys are the input method's
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1;
      setField({ text, at: names.length ? (at + step + names.length) % names.length : -1, isOpen: true });
    } else if (event.key === "Enter" || (event.key === "Tab" && shown && !event.shiftKey)) {
      event.preventDefault();
      take(event.key === "Tab" ? names[Math.max(at, 0)].tag : chosen || text);
    } else if (event.key === "Escape") {
      setField({ ...UNTOUCHED, text });
    } else if (event.key === "Backspace" && !text && tags.length) {
      remove(tags.at(-1));
    }
  };
  useEffect(() => document.getElementById(`name-${at}`)?.scrollIntoView({ block: "nearest" }), [at]);

  return html`<div class="entry">
    <div class="field">
      ${tags.map(
        (tag) => html`<span key=${tag} class=${`chip ${kinds.get(tag) ?? ""}`}>
          ${tag}<button aria-label=${`remove ${tag}`} onClick=${(event) => drop(event, tag)}>×</button>
        </span>`,
      )}
      <input
        ref=${input}
        value=${text}
        role="combobox"
        aria-label="Tags that the picture has"
        aria-autocomplete="list"
        aria-expanded=${shown ? "true" : "false"}
        aria-controls="names"
        aria-activedescendant=${chosen ? `name-${at}` : undefined}
        placeholder=${tags.length ? "one more" : "a tag, or a whole prompt"}
        ...${{ autocomplete: "off", autocapitalize: "none", spellcheck: false, enterkeyhint: "done" }}
        ...${{ onInput: type, onPaste: paste, onKeyDown: press, onBlur: () => setField({ ...UNTOUCHED, text }) }}
      />
    </div>
    <ul id="names" class="names" role="listbox" aria-label="Names" hidden=${!shown}>
      ${names.map(
        (name, place) => html`<li
          ...${{ key: name.tag, id: `name-${place}`, role: "option", "data-of": name.category }}
          ...${{ onMouseDown: (event) => event.preventDefault(), onClick: () => take(name.tag) }}
          aria-selected=${place === at ? "true" : "false"}
        >
          <b>${name.alias ? `${name.alias} → ${name.tag}` : name.tag}</b>
          <span>${name.category} · ${count(name.posts)}</span>
        </li>`,
      )}
    </ul>
  </div>`;
}

function Why({ item }) {
  const { t5, strongest, without, probability_without } = item.explanation;
  return html`<details>
    <summary aria-label=${`why ${item.tag}`}>why</summary>
    <div>observed ${observed(item.observed)}, T5 alone ${percent(t5, 1)}</div>
    ${strongest && html`<div>most from ${strongest.tags[0]}: ${observed(strongest)}</div>`}
    ${without && html`<div>without ${without}: ${percent(probability_without, 1)}</div>`}
    ${item.implied && html`<div>an implication says so: Danbooru adds it by itself</div>`}
  </details>`;
}

/** How this differs from what the other checkpoint says, in words; nothing if it hardly does. */
function difference(item, theirs) {
  if (!theirs.has(item.tag)) return "only here";
  const less = item.probability - theirs.get(item.tag);
  return Math.abs(less) < DIFFERS ? "" : `${less > 0 ? "+" : "−"}${Math.round(100 * Math.abs(less))} points`;
}

function Row({ item, theirs, add }) {
  const seen = item.observed.share === null ? "never seen" : `seen ${observed(item.observed)}`;
  const take = (event) => {
    // The row goes away: who came with the keyboard goes on from the next one.
    const next = event.currentTarget.closest("li").nextElementSibling ?? document;
    if (event.detail === 0) next.querySelector(".add, .field input").focus();
    add(item.tag);
  };
  return html`<li class="row">
    <button class="add" title=${`add ${item.tag}`} onClick=${take}>
      <i style=${{ width: `${100 * item.probability}%` }}></i><b>${breakable(item.tag)}</b> <span class="seen">${seen}</span> <span class="t5">T5 ${percent(item.explanation.t5)}</span>
      ${theirs && html`<span class="differs">${difference(item, theirs)}</span>`}
      <span class="chance">${item.implied ? "implied" : chance(item)}</span>
    </button>
    <${Why} item=${item} />
  </li>`;
}

function Exclusive({ pairs }) {
  const said = ({ first, second, together, either, among }) =>
    `${first} and ${second}: together on ${count(together)} of ${count(either)} posts with ${[...among, "either"].join(", ")}`;
  return html`<details class="muted">
    <summary>${pairs.length} ${pairs.length === 1 ? "pair" : "pairs"} of these exclude each other</summary>
    ${pairs.map((pair) => html`<div key=${`${pair.first} ${pair.second}`}>${said(pair)}</div>`)}
  </details>`;
}

function Answer({ answer, beside, add, place }) {
  const theirs = beside && new Map(beside.suggestions.map((item) => [item.tag, item.probability]));
  const row = (item) => html`<${Row} key=${item.tag} item=${item} theirs=${theirs} add=${add} />`;
  const group = (name) => {
    const items = answer.suggestions.filter((item) => item.category === name);
    return items.length ? [html`<h3 data-of=${name}>${name}</h3>`, html`<ul data-of=${name}>${items.map(row)}</ul>`] : [];
  };
  const isApart = (note) => answer.apart.some(({ first, second }) => note.startsWith(`${first} and ${second}: `));
  const said = (note) =>
    isApart(note) ? html`<p class="warn"><strong>Contradiction</strong> ${note}</p>` : html`<p class="note">${note}</p>`;
  const notes = answer.notes.filter((note) => !note.startsWith("understood: ")); // the chips show it
  const hasAll = answer.observed_on.length === answer.given.length; // else a note says what was counted
  return html`<section class=${theirs ? "answer beside" : "answer"} aria-label=${`What ${answer.checkpoint} says, ${place}`}>
    <h2>${answer.checkpoint} <span class="muted">${hasAll && `posts with these tags: ${count(answer.posts)}`}</span></h2>
    ${notes.map(said)}
    ${answer.exclusive.length > 0 && html`<${Exclusive} pairs=${answer.exclusive} />`}
    <div class="stacks">${STACKS.map((names) => html`<div>${names.flatMap(group)}</div>`)}</div>
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
  const box = (name, words) => {
    const choose = (event) => setForm({ ...form, [name]: event.target.checked });
    return html`<label><input type="checkbox" checked=${form[name]} onChange=${choose} />${words}</label>`;
  };
  return html`<section class="prompt" aria-label="As a prompt">
    <p ref=${shown}>${text}</p>
    <div class="bar">
      <button onClick=${copy}>Copy as a prompt</button>
      ${box("spaces", "spaces")} ${box("escaped", "escaped parentheses")}
      <span class="muted" role="status">${said}</span>
    </div>
  </section>`;
}

function Drawn({ item, add }) {
  if (item.given) return html`<span class="chip given">${item.tag}</span>`;
  const said = item.implied ? "implied" : item.probability !== null && chance(item);
  return html`<button class="chip" title=${`add ${item.tag}`} onClick=${() => add(item.tag)}>${item.tag} <span class="muted">${said}</span></button>`;
}

/** A whole set of tags that goes with the given ones, drawn by the checkpoint. */
function Fill({ tags, checkpoint, add, change }) {
  const [turn, setTurn] = useState(0);
  const draw = (signal) => (turn ? ask("/api/complete", { tags, checkpoint: checkpoint || null }, signal) : null);
  const { value, error, isBusy } = useAnswer(draw, [turn], 0);
  const said = isBusy && turn ? "drawing…" : value ? `drawn by ${value.checkpoint}, seed ${value.seed}` : "draws a whole set that goes with these";
  return html`<section class="fill" aria-label="A whole set of tags">
    <div class="bar">
      <button onClick=${() => setTurn(turn + 1)}>${value ? "Another set" : "Fill up"}</button>
      ${value && html`<button onClick=${() => change({ tags: value.tags.map((item) => item.tag) })}>Take all</button>`}
      <span class=${error ? "warn" : "muted"} role="status">${error ?? said}</span>
    </div>
    <ul class="set">
      ${value?.tags.map((item) => html`<li key=${item.tag} data-of=${item.category}><${Drawn} item=${item} add=${add} /></li>`)}
    </ul>
  </section>`;
}

function Choice({ label, value, choices, none, change }) {
  const option = ({ name, is_promoted }) => html`<option key=${name} value=${name}>${name}${is_promoted ? " (promoted)" : ""}</option>`;
  return html`<label>
    ${label}
    <select value=${value} onChange=${(event) => change(event.target.value)}><option value="">${none}</option>${choices.map(option)}</select>
  </label>`;
}

function App() {
  const [link, change] = useLink();
  const { tags, one, other } = link;
  const isAsked = tags.length > 0;
  const health = useAnswer(askHealth, [], 0);
  const used = health.value?.checkpoint;
  const { value: choices = [] } = useAnswer((signal) => ask("/api/checkpoints", null, signal), [used], 0);
  const asked = JSON.stringify([tags, one, other]);
  const both = useAnswer(async (signal) => {
    const checkpoints = !isAsked ? [] : other ? [one, other] : [one];
    const question = (name) => ({ tags, top: SHOWN, explain: true, checkpoint: name || null });
    return { tags, answers: await Promise.all(checkpoints.map((name) => ask("/api/suggest", question(name), signal))) };
  }, [asked]);
  const [first, second] = (isAsked && both.value?.answers) || [];

  // What was typed becomes the names that were understood: once, so that no two answers can go back and forth.
  const settled = useRef();
  useEffect(() => {
    if (!first || both.value.tags !== tags || asked === settled.current) return;
    const names = [...new Set([...first.given, ...first.left_out.map((item) => item.tag)])];
    settled.current = JSON.stringify([names, one, other]);
    if (`${[...names].sort()}` !== `${[...tags].sort()}`) change({ tags: names }, true);
  }, [both.value]);
  useEffect(() => void (document.title = [tags.join(", "), "Ask the tags"].filter(Boolean).join(" – ")), [tags]);

  const kinds = new Map([
    ...(first?.left_out ?? []).map((item) => [item.tag, "left"]),
    ...(first?.apart ?? []).flatMap((pair) => [[pair.first, "apart"], [pair.second, "apart"]]),
  ]);
  const add = (tag) => !tags.includes(tag) && change({ tags: [...tags, tag] });
  const remove = (tag) => change({ tags: tags.filter((kept) => kept !== tag) });
  const error = (isAsked && both.error) || health.error;
  const found = first ? `tags asked about: ${first.given.length}, suggestions: ${first.suggestions.length}` : "asking…";
  const hint = "Say what the picture has, and see what that implies. Tab completes, Enter adds, Backspace takes back.";

  return html`<header>
      <h1>Ask the tags</h1>
      <a href="/reports/">reports</a>
      <span class="muted">${used && `${used} · ${count(health.value.labels)} labels from ${count(health.value.posts)} posts`}</span>
    </header>
    <main>
      <${Entry} tags=${tags} kinds=${kinds} checkpoint=${one} add=${add} remove=${remove} />
      <div class="bar">
        <${Choice} label="checkpoint" value=${one} choices=${choices} none=${`in use: ${used ?? "…"}`} change=${(name) => change({ one: name })} />
        <${Choice} label="beside" value=${other} choices=${choices} none="none" change=${(name) => change({ other: name })} />
        <button hidden=${!isAsked} onClick=${() => change({ tags: [] })}>Clear</button>
      </div>
      <div class="tools" hidden=${!isAsked}>
        <${Prompt} tags=${tags} />
        ${health.value?.completes && html`<${Fill} key=${asked} tags=${tags} checkpoint=${one} add=${add} change=${change} />`}
      </div>
      <p class=${error ? "warn" : "status"} role="status">${error ?? (isAsked ? found : hint)}</p>
      <div class=${both.isBusy ? "columns busy" : "columns"} aria-busy=${both.isBusy ? "true" : "false"}>
        ${first && html`<${Answer} key="one" place="first" answer=${first} beside=${second} add=${add} />`}
        ${second && html`<${Answer} key="other" place="second" answer=${second} beside=${first} add=${add} />`}
      </div>
    </main>`;
}

render(html`<${App} />`, document.getElementById("app"));
